"""Anthropic's own client: messages whole and streamed, tools, thinking, images, models, errors."""

import os

import anthropic

base, key = os.environ["TORYO_BASE"], os.environ["TORYO_KEY"]
client = anthropic.Anthropic(base_url=base, api_key=key, max_retries=0, timeout=30)

HELLO = "Hello to you, and to all others."
USER = [{"role": "user", "content": "Say hello."}]
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TOOLS = [
    {
        "name": "get_weather",
        "description": "The weather.",
        "input_schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
        },
    }
]
INPUT = {"city": "Kyoto", "days": 2}


def ask(model, messages=USER, **more):
    return client.messages.create(model=model, messages=messages, max_tokens=3000, **more)


def whole_and_streamed(model, messages=USER, **more):
    """Both ways have to say the same."""
    whole = ask(model, messages, **more)
    with client.messages.stream(model=model, messages=messages, max_tokens=3000, **more) as events:
        streamed = events.get_final_message()
    kept = {"type", "text", "thinking", "signature", "id", "name", "input"}
    blocks = [[{k: v for k, v in block.model_dump().items() if k in kept} for block in m.content] for m in (whole, streamed)]
    assert blocks[0] == blocks[1], blocks
    assert whole.stop_reason == streamed.stop_reason
    assert whole.usage.output_tokens == streamed.usage.output_tokens == 100, streamed.usage
    return whole


def text():
    system = [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}]
    for model in ["hello", "hello-claude"]:
        message = whole_and_streamed(model, system=system)
        assert (message.content[0].text, message.stop_reason) == (HELLO, "end_turn"), message
        assert message.usage.input_tokens == 1000, message.usage


def tools():
    for model in ["tools", "tools-claude"]:
        message = whole_and_streamed(model, tools=TOOLS, tool_choice={"type": "any"})
        call = message.content[-1]
        assert (message.stop_reason, call.name, call.input) == ("tool_use", "get_weather", INPUT), message
        result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "Sunny."}]}
        talk = [*USER, {"role": "assistant", "content": message.content}, {"role": "user", "content": [result]}]
        assert ask(model.replace("tools", "hello"), talk, tools=TOOLS).content[0].text == HELLO


def thinking():
    wanted = {"type": "enabled", "budget_tokens": 1024}
    message = whole_and_streamed("thinks-claude", thinking=wanted)
    block = message.content[0]
    assert (block.type, block.thinking, block.signature) == ("thinking", "Let me see.", "c2lnbmVk"), message
    talk = [*USER, {"role": "assistant", "content": message.content}, *USER]
    assert ask("thinks-claude", talk, thinking=wanted).content[-1].text == "Forty-two, I think."


def counts():
    short = client.messages.count_tokens(model="hello-claude", messages=USER)
    longer = client.messages.count_tokens(model="hello-claude", messages=USER, system="Be kind.", tools=TOOLS)
    assert 0 < short.input_tokens < longer.input_tokens, (short, longer)
    raw = client.messages.with_raw_response.create(model="hello-claude", messages=USER, max_tokens=50)
    for kind in ["requests", "tokens"]:
        limit, remaining = (int(raw.headers[f"anthropic-ratelimit-{kind}-{what}"]) for what in ("limit", "remaining"))
        assert 0 < remaining < limit, raw.headers


def images():
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]
    for model in ["hello", "hello-claude"]:
        assert ask(model, [{"role": "user", "content": content}]).content[0].text == HELLO


def models():
    assert "hello-claude" in [model.id for model in client.models.list()]
    assert client.models.retrieve("hello-claude").id == "hello-claude"


def fails(kind, ask):
    try:
        ask()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def errors():
    stranger = anthropic.Anthropic(base_url=base, api_key="tk-nobody", max_retries=0)
    error = fails(anthropic.AuthenticationError, lambda: stranger.messages.create(model="hello", messages=USER, max_tokens=5))
    assert error.body["error"]["type"] == "authentication_error", error.body
    error = fails(anthropic.NotFoundError, lambda: ask("nothing"))
    assert error.body["error"]["type"] == "not_found_error", error.body
    error = fails(anthropic.BadRequestError, lambda: ask("hello", []))
    assert "messages" in error.body["error"]["message"], error.body
    for model in ["limited", "limited-claude"]:
        error = fails(anthropic.RateLimitError, lambda: ask(model))
        assert 1 <= int(error.response.headers["retry-after"]) <= 7
    for model in ["broken", "broken-claude"]:
        def stream():
            with client.messages.stream(model=model, messages=USER, max_tokens=5) as events:
                events.get_final_message()
        fails(anthropic.APIError, stream)
        fails(anthropic.APIError, lambda: ask(model))


for test in [text, tools, thinking, counts, images, models, errors]:
    print(test.__name__, flush=True)
    test()
