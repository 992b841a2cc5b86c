"""How the small speech-to-text model of the tests is made: speech.py says the phrases, training.py teaches them."""
