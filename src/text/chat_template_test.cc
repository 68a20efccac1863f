#include "text/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/tiny_vocabularies.h"

namespace folio::text {
namespace {

using testing::fill_byte_level;
using testing::fill_spm;
using ::testing::HasSubstr;
using testing::TinyVocabulary;

constexpr std::int64_t kNow = 1795350896;  // 2026-11-22 12:34:56 UTC

Result<std::string> render(std::string_view source, ChatInput input = {}) {
  auto made = ChatTemplate::compile(source, {.bos = "<s>", .eos = "</s>", .unk = "", .pad = ""});
  if (!made) return pass(made);
  if (input.messages_json.empty()) input.messages_json = R"([{"role": "user", "content": "Hi"}])";
  if (!input.now_unix_s) input.now_unix_s = kNow;
  return made->render(input);
}

std::string text(std::string_view source, ChatInput input = {}) {
  const auto rendered = render(source, std::move(input));
  return rendered ? *rendered : "ERROR " + rendered.error().message;
}

Error error(std::string_view source, ChatInput input = {}) {
  const auto rendered = render(source, std::move(input));
  return rendered ? Error{ErrorKind::kCancelled, "none"} : rendered.error();
}

TEST(ChatTemplate, WhiteSpaceAsTransformers) {
  EXPECT_EQ(text("{% for m in messages %}\n  {% if true %}\n{{ m.role }}: {{ m['content'] }}\n  {% endif "
                 "%}\n{% endfor %}\n"),
            "user: Hi\n");
  EXPECT_EQ(text("a\n  {# x #}\nb\n{{ 1 }}\n"), "a\nb\n1");
}

TEST(ChatTemplate, Variables) {
  EXPECT_EQ(text("{{ bos_token }}|{{ eos_token }}|{{ pad_token }}|{{ add_generation_prompt }}|{{ tools is "
                 "none }}|{{ x }}"),
            "<s>|</s>||True|True|");
  EXPECT_EQ(text("{{ x }}{{ bos_token }}", {.kwargs_json = R"({"x": 1.0, "bos_token": "B"})"}), "1.0B");
  EXPECT_EQ(text("{{ add_generation_prompt }}", {.generation_prompt = GenerationPrompt::kOmit}), "False");
}

TEST(ChatTemplate, PythonsSpelling) {
  EXPECT_EQ(
      text(
          R"({{ none }} {{ true }} {{ 1e16 }} {{ [1, 'a', none, {'k': "it's"}] }} {{ (1,) }} {{ 'x' ~ true ~ 0.5 }})"),
      R"(None True 1e+16 [1, 'a', None, {'k': "it's"}] (1,) xTrue0.5)");
}

TEST(ChatTemplate, JsonAsPython) {
  const ChatInput input = {.tools_json =
                               R"([{"b": 1, "a": [true, null, 1.5, "é</x>\n"], "e": {}, "f": []}])"};
  EXPECT_EQ(text("{{ tools | tojson }}", input),
            R"([{"b": 1, "a": [true, null, 1.5, "é</x>\n"], "e": {}, "f": []}])");
  EXPECT_EQ(text("{{ tools[0].a | tojson(indent=2) }}", input),
            "[\n  true,\n  null,\n  1.5,\n  \"é</x>\\n\"\n]");
  EXPECT_EQ(text("{{ tools[0] | tojson(sort_keys=true, separators=(',', ':'), ensure_ascii=true) }}", input),
            R"({"a":[true,null,1.5,"\u00e9</x>\n"],"b":1,"e":{},"f":[]})");
  EXPECT_EQ(error("{{ nothing | tojson }}").kind, ErrorKind::kUnsupported);
}

TEST(ChatTemplate, StringMethods) {
  EXPECT_EQ(
      text(
          R"({{ ' a b '.strip() }}|{{ 'a,b,c'.split(',', 1)[-1] }}|{{ 'abc'[1:] }}|{{ 'x</t>y'.split('</t>')[-1] }})"),
      "a b|b,c|bc|y");
  EXPECT_EQ(
      text(
          R"({{ 'aXbX'.rstrip('X') }}|{{ 'a b  c'.split() }}|{{ 'abc'.replace('b', '') }}|{{ 'k=v'.partition('=')[2] }})"),
      "aXb|['a', 'b', 'c']|ac|v");
  EXPECT_EQ(
      text(
          R"({{ 'ab'.startswith(('x', 'a')) }}|{{ '%s-%d' % ('a', 3) }}|{{ '-'.join(['a', 'b']) }}|{{ 'a'.upper() }})"),
      "True|a-3|a-b|A");
  EXPECT_EQ(text(R"({{ {'a': 1}.get('b', 2) }}{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% endfor %})"),
            "2a1");
}

TEST(ChatTemplate, TestsAsJinja) {
  EXPECT_EQ(text("{{ 'a' is sequence }} {{ {} is sequence }} {{ none is iterable }} {{ true is number }} {{ "
                 "{} is mapping }}"),
            "True True False True True");
}

TEST(ChatTemplate, LoopControlsAndGenerationBlocks) {
  EXPECT_EQ(text("{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break "
                 "%}{% endif %}{{ i }}{% endfor %}"),
            "02");
  EXPECT_EQ(text("a\n{%- generation -%}\n b{% set x = 1 %}\n{% endgeneration %}\n{{ x }}c"),
            "ab"
            "c");
  EXPECT_EQ(text("{# {% generation %} #}{% raw %}{{{% endraw %}"), "{{");
}

TEST(ChatTemplate, NamespaceMacroAndTime) {
  EXPECT_EQ(text("{% set ns = namespace(n=0) %}{% for i in [1, 2] %}{% set ns.n = ns.n + i %}{% endfor %}{{ "
                 "ns.n }}"),
            "3");
  EXPECT_EQ(text("{% macro m(x, y='d') %}{{ x }}{{ y }}{% endmacro %}{{ m('a') ~ m('b', y='c') }}"), "adbc");
  EXPECT_EQ(text("{{ strftime_now('%d %b %Y %H:%M') }}"), "22 Nov 2026 12:34");
}

TEST(ChatTemplate, Products) {
  EXPECT_EQ(text("{{ '=' * 3 }}{{ 2 * 3 }}{{ (1 + 1) * [4][0] * 2 }}{{ 2 ** 3 * 2 }}{{ -3 * 2 }}"),
            "===61616-6");
  EXPECT_EQ(text("{% raw %}{{ 2 * 3 }}{% endraw %}{# 2 * 3 #}{{ '2 * 3' }}"), "{{ 2 * 3 }}2 * 3");
  EXPECT_EQ(text("{% macro m(a, b) %}{{ a }}{{ b }}{% endmacro %}{{ m(*['x', 'y']) }}{{ m('x', *['z']) }}"),
            "xyxz");
}

TEST(ChatTemplate, RaisedMessagesAreExact) {
  const Error raised = error("{{ raise_exception('Roles must alternate: ' + messages[0].role) }}");
  EXPECT_EQ(raised.kind, ErrorKind::kInvalid);
  EXPECT_EQ(raised.message, "Roles must alternate: user");
  EXPECT_EQ(error("{% macro m() %}{{ raise_exception('inside') }}{% endmacro %}{{ m() }}").message, "inside");
}

TEST(ChatTemplate, OtherErrorsSaySo) {
  const Error syntax = error("a\n{% if %}");
  EXPECT_EQ(syntax.kind, ErrorKind::kInvalid);
  EXPECT_THAT(syntax.message, HasSubstr("line 2"));
  EXPECT_EQ(error("{{ messages.x.y }}").kind, ErrorKind::kUnsupported);
  EXPECT_EQ(error("{{ none + 'x' }}").kind, ErrorKind::kUnsupported);
  EXPECT_THAT(error("x", {.messages_json = "[}"}).message, HasSubstr("chat input: messages"));
  EXPECT_THAT(error("x", {.kwargs_json = "[1]"}).message, HasSubstr("kwargs"));
  EXPECT_THAT(error(std::string(kMaxTemplateBytes + 1, 'x')).message, HasSubstr("limit"));
}

// Every one of these would otherwise run for hours, fill the memory, or overflow the stack.
TEST(ChatTemplate, HostileTemplatesEnd) {
  const std::string deep =
      "{% set ns = namespace(l=[]) %}{% for i in range(100000) %}{% for j in range(100000) %}"
      "{% set ns.l = [ns.l] %}{% endfor %}{% endfor %}";
  const std::string hostile[] = {
      "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
      "{% for i in range(100000) %}{% for j in range(100000) %}" + std::string(4000, 'x') +
          "{% endfor %}{% endfor %}",
      "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
      "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
      "{% set ns = namespace(s='xy') %}{% for i in range(60) %}{% set ns.s = ns.s | replace('x', ns.s) %}{% "
      "endfor %}",
      "{% set ns = namespace(s='xy') %}{% for i in range(60) %}{% set ns.s = ns.s.replace('x', ns.s) %}{% "
      "endfor %}",
      "{% set ns = namespace(s='\\\\') %}{% for i in range(60) %}{% set ns.s = ns.s | pprint %}{% endfor %}",
      "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s %}{{ ns.s }}{{ ns.s }}{% endset "
      "%}{% endfor %}",
      "{% set ns = namespace(s=['x']) %}{% for i in range(60) %}{% set ns.s = [ns.s | join, ns.s | join] "
      "%}{% endfor %}",
      "{{ 'x' * 1000000000 }}",
      "{% set s = 'x' * 90000000 %}ok",
      "{% set s = ('x' ~ 'y') * 2 * 45000000 %}ok",
      "{{ [1] * 1000000000 }}",
      "{{ '%999999999d' % 1 }}",
      "{{ '{:>999999999}'.format('a') }}",
      "{{ 'a' | indent(9999999999, true) }}",
      "{{ 'a'.center(9999999999) }}",
      "{{ 'a'.zfill(9999999999) }}",
      "{{ [1] | batch(99999999999, 'x') }}",
      "{{ [1] | slice(99999999999) }}",
      "{% set s = 'ab' * 1000000 %}{% set l = [s] * 2000 %}{{ l }}",
      "{% set l = ['ab' * 1000000] * 2000 %}{{ l | upper }}",
      "{% set l = ['ab' * 1000000] * 2000 %}{{ l | tojson }}",
      "{% set l = ['ab' * 1000000] * 2000 %}{{ '%s' % [l] }}",
      "{% set l = ['ab' * 1000000] * 2000 %}{{ l in 'x' }}",
      "{% set l = ['ab' * 1000000] * 2000 %}{{ l | join }}",
      "{{ {} | tojson(indent=1000000) }}",
      "{{ [1] | tojson(indent=1000000000000) }}",
      "{{ strftime_now('%999999999Y') }}",
      "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
      deep + "{{ ns.l | tojson }}",
      deep + "{{ ns.l }}",
  };
  for (const std::string& source : hostile) {
    const auto rendered = render(source);
    EXPECT_FALSE(rendered.has_value()) << source.substr(0, 200) << " gave " << rendered->size() << " bytes";
  }
  EXPECT_EQ(error(hostile[0]).kind, ErrorKind::kTooLarge);
  EXPECT_EQ(error(hostile[2]).kind, ErrorKind::kTooLarge);
}

// The limit of one text, apart from that of all texts together: forty texts of 4 MB may be made, one of 5 may
// not.
TEST(ChatTemplate, OneTextHasALimitOfItsOwn) {
  const char* const many = "{% for i in range(40) %}{% set s = 'x' * 4000000 %}{% endfor %}ok";
  EXPECT_EQ(text(many), "ok");
  const Error repeated = error("{% set s = 'x' * 5000000 %}ok");
  EXPECT_EQ(repeated.kind, ErrorKind::kTooLarge);
  EXPECT_THAT(repeated.message, HasSubstr("more text than the limit"));
  const Error appended = error("{% set s = 'x' * 3000000 ~ 'x' * 3000000 %}ok");
  EXPECT_EQ(appended.kind, ErrorKind::kTooLarge);
  EXPECT_THAT(appended.message, HasSubstr("longer text than the limit"));
}

TEST(ChatTemplate, DeepNestingIsAnErrorOrDroppedSafely) {
  EXPECT_EQ(
      text("{% set ns = namespace(l=[]) %}{% for i in range(200) %}{% set ns.l = [ns.l] %}{% endfor %}ok"), "ok");
  EXPECT_THAT(
      error("{% set ns = namespace(l=[]) %}{% for i in range(90000) %}{% set ns.l = [ns.l] %}{% endfor %}ok")
          .message,
      HasSubstr("nested more than 300 deep"));
  std::string source;
  for (int i = 0; i < 5000; ++i) source += "{% if true %}";
  EXPECT_FALSE(render(source).has_value());
  EXPECT_FALSE(render("{{ " + std::string(100000, '(') + " }}").has_value());
  std::string messages = std::string(100000, '[') + std::string(100000, ']');
  EXPECT_FALSE(render("x", {.messages_json = messages}).has_value());
}

// minijinja's parser and compiler recurse along each of these.
TEST(ChatTemplate, ChainsAreRefused) {
  const auto repeat = [](std::string_view head, std::string_view part, int times, std::string_view tail) {
    std::string out(head);
    for (int i = 0; i < times; ++i) out += part;
    return out += tail;
  };
  const std::tuple<const char*, const char*, const char*> chains[] = {
      {"{{ 1", "+1", " }}"},   {"{{ a", ".b", " }}"},          {"{{ a", "|list", " }}"},
      {"{{ a", "~a", " }}"},   {"{{ a", "[0]", " }}"},         {"{{ a", "()", " }}"},
      {"{{ a", " is none", " }}"}, {"{{ ", "not ", "1 }}"},    {"{{ ", "-", "1 }}"},
      {"{{ a", " and a", " }}"}, {"{{ ", "1 if a else ", "1 }}"}, {"{{ 2", "**2", " }}"},
      {"{% if a %}", "{% elif b %}", "{% endif %}"}};
  for (const auto& [head, part, tail] : chains) {
    // 64 KB as in a hostile file, just above the limit, and as long as is allowed: an answer of any kind.
    EXPECT_EQ(error(repeat(head, part, 65536 / static_cast<int>(std::string_view(part).size()), tail)).kind,
              ErrorKind::kTooLarge)
        << part;
    std::ignore = render(repeat(head, part, 500, tail));
    std::ignore = render(repeat(head, part, 1000, tail));
  }
}

// A namespace may not hold itself: comparing or hashing it would not end.
TEST(ChatTemplate, CyclesAndTreesOfSharedListsEnd) {
  const std::string shared = "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}";
  const std::string other = shared + "{% set a = ns.l %}" + shared;
  for (const std::string& source : {
           std::string("{% set n = namespace() %}{% set n.a = [n] %}{{ {n.a: 1} }}"),
           std::string("{% set n = namespace() %}{% set n.a = [n] %}{% set m = namespace() %}{% set m.a = [m] "
                       "%}{{ n.a == m.a }}"),
           std::string("{% set n = namespace(a=namespace()) %}x"),
           std::string("{% for i in [1, 2] %}{{ loop.changed([loop]) }}{% endfor %}"),
           other + "{{ a == ns.l }}", other + "{{ a < ns.l }}", other + "{{ a in [ns.l] }}", shared + "{{ ns.l }}",
           shared + "{{ ns.l | tojson }}", shared + "{{ [ns.l] | unique | list }}", shared + "{{ {}[(ns.l,)] }}",
           other + "{{ [a, ns.l] | sort }}",
           other + "{% for i in [a, ns.l] %}{{ loop.changed(i) }}{% endfor %}",
       }) {
    const auto rendered = render(source);
    EXPECT_FALSE(rendered.has_value()) << source.substr(0, 200);
  }
}

std::string encoded(std::string_view source, std::string messages) {
  TinyVocabulary tiny;
  fill_byte_level(tiny);
  const Tokenizer tokenizer = Tokenizer::from_vocabulary(tiny.vocabulary).value();
  const auto chat = ChatTemplate::compile(source, {}).value().encode(tokenizer, {.messages_json = std::move(messages)});
  return chat ? chat->text : "ERROR " + chat.error().message;
}

TEST(ChatTemplate, ContentsAreOfTheKindThatTheTemplateTakes) {
  const std::string_view texts = "{% for m in messages %}{{ m.content }};{% endfor %}";
  const std::string_view parts =
      "{% for m in messages %}{% for p in m.content %}{% if p.type == 'text' %}[{{ p.text }}]{% endif %}"
      "{% endfor %};{% endfor %}";
  const std::string_view both =
      "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}"
      "[{{ p.text }}]{% endfor %}{% endif %};{% endfor %}";
  const auto kind = [](std::string_view source) { return ChatTemplate::compile(source, {})->content_kind(); };
  EXPECT_EQ(kind(texts), ContentKind::kText);
  EXPECT_EQ(kind(parts), ContentKind::kParts);
  EXPECT_EQ(kind(both), ContentKind::kBoth);
  EXPECT_EQ(kind("nothing"), ContentKind::kText);
  const std::string one = R"([{"role": "user", "content": "a"}])";
  const std::string two =
      R"([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}])";
  EXPECT_EQ(encoded(texts, one), "a;");
  EXPECT_EQ(encoded(texts, two), "a\nb;");
  EXPECT_EQ(encoded(parts, one), "[a];");
  EXPECT_EQ(encoded(parts, two), "[a][b];");
  EXPECT_EQ(encoded(both, one), "a;");
  EXPECT_EQ(encoded(both, two), "[a][b];");
  EXPECT_THAT(encoded(texts, "[}"), HasSubstr("chat input: messages"));
}

TEST(ChatTemplate, AnUnusableTemplateSaysSoInEveryChat) {
  const ChatTemplate broken = ChatTemplate::unusable({ErrorKind::kInvalid, "chat template: x (line 1)"});
  EXPECT_EQ(broken.name(), "unusable");
  const auto rendered = broken.render({.messages_json = "[]"});
  ASSERT_FALSE(rendered.has_value());
  EXPECT_EQ(rendered.error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(rendered.error().message, "the model's chat template cannot be used: chat template: x (line 1)");
  EXPECT_TRUE(broken.problem().has_value());
}

TEST(ChatTemplate, OfAConfig) {
  const auto of = [](std::string_view json) { return chat_template_of_config(json); };
  EXPECT_EQ(*of(R"({"chat_template": "x"})"), "x");
  EXPECT_EQ(*of(R"({})"), std::nullopt);
  EXPECT_EQ(
      *of(R"({"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]})"),
      "d");
  EXPECT_FALSE(of(R"({"chat_template": 3})").has_value());
  EXPECT_FALSE(of("[]").has_value());
}

TEST(ChatTemplate, Fallbacks) {
  TinyVocabulary chatml;
  fill_byte_level(chatml);
  const Tokenizer with_tokens = Tokenizer::from_vocabulary(chatml.vocabulary).value();
  const ChatMessage messages[] = {{"system", "S"}, {"user", "U"}};
  const ChatInput input = {.messages_json = to_messages_json(messages)};
  const ChatTemplate first = ChatTemplate::fallback(with_tokens);
  EXPECT_EQ(first.name(), "chatml (fallback)");
  EXPECT_EQ(*first.render(input),
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n");
  TinyVocabulary plain;
  fill_spm(plain);
  const Tokenizer without = Tokenizer::from_vocabulary(plain.vocabulary).value();
  const ChatTemplate second = ChatTemplate::fallback(without);
  EXPECT_EQ(*second.render(input), "<s>S\n\nUser: U\n\nAssistant:");
  EXPECT_EQ(first.stop_text(), "");
  EXPECT_EQ(second.stop_text(), "\nUser:");
}

}  // namespace
}  // namespace folio::text
