"""OpenAI's own client: chat completions, responses, embeddings, models, errors."""

import json
import os

import openai

base, key = os.environ["TORYO_BASE"], os.environ["TORYO_KEY"]
client = openai.OpenAI(base_url=f"{base}/v1", api_key=key, max_retries=0, timeout=30)

HELLO = "Hello to you, and to all others."
USER = [{"role": "user", "content": "Say hello."}]
PNG = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
FUNCTION = {"name": "get_weather", "description": "The weather.", "parameters": SCHEMA}
TOOLS = [{"type": "function", "function": FUNCTION}]


def chat():
    for model in ["hello", "hello-claude"]:
        answer = client.chat.completions.with_raw_response.create(model=model, messages=USER, max_tokens=100)
        assert answer.headers["x-toryo-call-id"] == answer.headers["x-request-id"]
        assert float(answer.headers["x-toryo-cost-usd"]) > 0
        limits = {kind: [answer.headers[f"x-ratelimit-{what}-{kind}"] for what in ("limit", "remaining")] for kind in ("requests", "tokens")}
        for limit, remaining in limits.values():
            assert 0 < int(remaining) < int(limit), limits
        answer = answer.parse()
        assert answer.choices[0].message.content == HELLO, answer
        assert answer.choices[0].finish_reason == "stop"
        assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (1000, 100), answer.usage


def stream():
    for model in ["hello", "hello-claude"]:
        options = {"include_usage": True}
        chunks = list(client.chat.completions.create(model=model, messages=USER, stream=True, stream_options=options))
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert text == HELLO, text
        assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
        assert chunks[-1].usage.completion_tokens == 100, chunks[-1]
        # Nobody asked for the tokens here.
        for chunk in client.chat.completions.create(model=model, messages=USER, stream=True):
            assert chunk.choices and not chunk.usage


def tools():
    for model in ["tools", "tools-claude"]:
        answer = client.chat.completions.create(model=model, messages=USER, tools=TOOLS)
        message = answer.choices[0].message
        call = message.tool_calls[0]
        assert answer.choices[0].finish_reason == "tool_calls"
        assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Kyoto", "days": 2})
        with client.chat.completions.stream(model=model, messages=USER, tools=TOOLS) as events:
            streamed = events.get_final_completion().choices[0].message.tool_calls[0]
        assert (streamed.id, json.loads(streamed.function.arguments)) == (call.id, {"city": "Kyoto", "days": 2})
        # The whole way round: the call and its result go back.
        result = {"role": "tool", "tool_call_id": call.id, "content": "Sunny."}
        talk = [*USER, message.model_dump(exclude_none=True), result]
        answer = client.chat.completions.create(model=model.replace("tools", "hello"), messages=talk, tools=TOOLS)
        assert answer.choices[0].message.content == HELLO


def schema_and_images():
    schema = {**SCHEMA, "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}}, "required": ["city", "degrees"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "weather", "schema": schema, "strict": True}}
    answer = client.chat.completions.create(model="json", messages=USER, response_format=wanted)
    assert json.loads(answer.choices[0].message.content) == {"city": "Kyoto", "degrees": 21}
    image = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PNG}}]
    for model in ["hello", "hello-claude"]:
        answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": image}])
        assert answer.choices[0].message.content == HELLO


def reasoning():
    message = client.chat.completions.create(model="thinks-claude", messages=USER).choices[0].message
    assert (message.content, message.reasoning_content) == ("Forty-two, I think.", "Let me see.")
    # What the provider signed goes back unchanged.
    talk = [*USER, message.model_dump(exclude_none=True), *USER]
    assert client.chat.completions.create(model="thinks-claude", messages=talk).choices[0].message.content


def responses():
    for model in ["hello", "hello-claude"]:
        answer = client.responses.create(model=model, input="Say hello.", instructions="Be kind.", store=False)
        assert (answer.output_text, answer.status) == (HELLO, "completed"), answer
        assert (answer.usage.input_tokens, answer.usage.total_tokens) == (1000, 1100)
        with client.responses.stream(model=model, input="Say hello.", store=False) as events:
            seen = [event for event in events]
            final = events.get_final_response()
        assert [event.sequence_number for event in seen] == list(range(len(seen)))
        deltas = [event.delta for event in seen if event.type == "response.output_text.delta"]
        assert "".join(deltas) == final.output_text == HELLO
    functions = [{"type": "function", **FUNCTION, "strict": True}]
    for model in ["tools", "tools-claude"]:
        answer = client.responses.create(model=model, input="Weather?", tools=functions, store=False)
        call = next(item for item in answer.output if item.type == "function_call")
        assert json.loads(call.arguments) == {"city": "Kyoto", "days": 2}
        talk = [{"role": "user", "content": "Weather?"}, *[item.model_dump(exclude_none=True) for item in answer.output]]
        talk.append({"type": "function_call_output", "call_id": call.call_id, "output": "Sunny."})
        after = client.responses.create(model=model.replace("tools", "hello"), input=talk, tools=functions, store=False)
        assert after.output_text == HELLO
    answer = client.responses.create(model="thinks-claude", input="Think.", store=False)
    assert answer.output[0].type == "reasoning" and answer.output[0].summary[0].text == "Let me see."
    talk = [{"role": "user", "content": "Think."}, *[item.model_dump(exclude_none=True) for item in answer.output]]
    talk.append({"role": "user", "content": "Again."})
    assert client.responses.create(model="thinks-claude", input=talk, store=False).output_text


def embeddings_and_models():
    vectors = client.embeddings.create(model="embed", input=["red green", "red"])
    assert len(vectors.data) == 2 and len(vectors.data[0].embedding) == len(vectors.data[1].embedding) > 1
    plain = client.embeddings.create(model="embed", input="red", encoding_format="float")
    pairs = zip(plain.data[0].embedding, vectors.data[1].embedding)
    assert all(abs(left - right) < 1e-6 for left, right in pairs)
    assert vectors.usage.prompt_tokens > 0
    names = [model.id for model in client.models.list()]
    assert "hello" in names and "embed" in names, names
    assert client.models.retrieve("hello").id == "hello"


def fails(kind, ask):
    try:
        ask()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def errors():
    ask = client.chat.completions.create
    stranger = openai.OpenAI(base_url=f"{base}/v1", api_key="tk-nobody", max_retries=0)
    error = fails(openai.AuthenticationError, lambda: stranger.chat.completions.create(model="hello", messages=USER))
    assert error.code == "invalid_api_key", error
    fails(openai.AuthenticationError, lambda: stranger.models.list())
    error = fails(openai.NotFoundError, lambda: ask(model="nothing", messages=USER))
    assert error.code == "model_not_found", error
    fails(openai.NotFoundError, lambda: client.models.retrieve("nothing"))
    error = fails(openai.BadRequestError, lambda: ask(model="hello", messages=[]))
    assert (error.param, error.type) == ("messages", "invalid_request_error"), error
    error = fails(openai.BadRequestError, lambda: client.responses.create(model="hello", input="x", previous_response_id="r"))
    assert error.param == "previous_response_id", error
    # What only this dialect knows is refused by name where another one answers, and goes through otherwise.
    named = [{"role": "user", "content": "Say hello.", "name": "ann"}]
    error = fails(openai.BadRequestError, lambda: ask(model="hello-claude", messages=named))
    assert "messages[0].name" in error.message, error
    assert ask(model="hello", messages=named).choices[0].message.content == HELLO
    for name, value in {"seed": 7, "logit_bias": {"1": 2}, "n": 2}.items():
        error = fails(openai.BadRequestError, lambda: ask(model="hello-claude", messages=USER, **{name: value}))
        assert error.param == name and "`hello-claude`" in error.message, error
    for model in ["limited", "limited-claude"]:
        error = fails(openai.RateLimitError, lambda: ask(model=model, messages=USER))
        assert 1 <= int(error.response.headers["retry-after"]) <= 7, error.response.headers
    for model in ["broken", "broken-claude"]:
        # Half an answer is an error, never an answer.
        fails(openai.APIError, lambda: list(ask(model=model, messages=USER, stream=True)))
        fails(openai.APIError, lambda: ask(model=model, messages=USER))


for test in [chat, stream, tools, schema_and_images, reasoning, responses, embeddings_and_models, errors]:
    print(test.__name__, flush=True)
    test()
