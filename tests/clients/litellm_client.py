"""LiteLLM as a client, in both dialects that it speaks to a gateway."""

import json
import os

import litellm

base, key = os.environ["TORYO_BASE"], os.environ["TORYO_KEY"]
litellm.num_retries = 0
litellm.suppress_debug_info = True

HELLO = "Hello to you, and to all others."
USER = [{"role": "user", "content": "Say hello."}]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["city", "days"],
            },
        },
    }
]


def ask(model, **more):
    """`openai/…` goes to chat completions, `anthropic/…` to messages."""
    address = f"{base}/v1" if model.startswith("openai/") else base
    return litellm.completion(
        model=model, messages=USER, api_base=address, api_key=key, max_tokens=500, max_retries=0, **more
    )


def chat_and_stream():
    for model in ["openai/hello", "openai/hello-claude", "anthropic/hello-claude", "anthropic/hello"]:
        answer = ask(model)
        assert answer.choices[0].message.content == HELLO, answer
        assert answer.usage.completion_tokens == 100, answer.usage
        text = "".join(chunk.choices[0].delta.content or "" for chunk in ask(model, stream=True))
        assert text == HELLO, text


def tools():
    for model in ["openai/tools", "openai/tools-claude", "anthropic/tools-claude", "anthropic/tools"]:
        answer = ask(model, tools=TOOLS)
        call = answer.choices[0].message.tool_calls[0].function
        assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Kyoto", "days": 2}), answer


def embeddings():
    vectors = litellm.embedding(model="openai/embed", input=["red", "green"], api_base=f"{base}/v1", api_key=key)
    assert len(vectors.data) == 2


def errors():
    for kind, model in [(litellm.NotFoundError, "openai/nothing"), (litellm.RateLimitError, "openai/limited")]:
        try:
            ask(model)
        except kind:
            continue
        raise AssertionError(f"no {kind.__name__}")
    try:
        litellm.completion(model="openai/hello", messages=USER, api_base=f"{base}/v1", api_key="tk-nobody", max_retries=0)
    except litellm.AuthenticationError:
        return
    raise AssertionError("a stranger was let in")


for test in [chat_and_stream, tools, embeddings, errors]:
    print(test.__name__, flush=True)
    test()
