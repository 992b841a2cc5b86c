"""OpenAI's HTTP API over the same engines as the sessions: speech, transcriptions, chat completions, models and voices.

    request ──> a Pydantic model ──> engines ──> a whole response, or one that streams while it is made
                      (exchange.py: one place of the admission; errors in OpenAI's shape; a client that leaves ends the work)

Fields of OpenAI's API that mean nothing here are taken and ignored, those that would change the answer refused; models and voices of other
vendors are mapped, as in a session. docs/http.md lists them.
"""
