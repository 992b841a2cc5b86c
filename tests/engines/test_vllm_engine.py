"""What the adapter of vLLM decides without a model."""

from deployments.engines.vllm_engine import VllmLanguageModel
from serve_app.engines import ChatMessage, Prompt


def test_room_for_the_reply_is_a_share_of_the_context_that_the_engine_has():
    """A `max_model_len` among the engine's arguments wins over the option."""
    model = VllmLanguageModel(max_model_len=2048, max_tokens=512, engine_args={"max_model_len": 400})
    assert model._arguments("folder", on_cpu=False)["max_model_len"] == 400
    assert model._reply_room(Prompt((ChatMessage("user", "Hi"),)), 400) == 100
    assert model._reply_room(Prompt((ChatMessage("user", "Hi"),), max_tokens=20), 400) == 20
