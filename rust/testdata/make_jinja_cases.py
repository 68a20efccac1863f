"""Writes jinja_cases.json: templates, variables and what Jinja2 renders with the settings of the transformers library.

Needs jinja2 (3.1.6 wrote the file that is here): python3 rust/testdata/make_jinja_cases.py. The tests of the Rust library
read the file; a case whose result is null is one that Jinja2 refuses."""
import json
import os

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

VARIABLES = {
    "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": None},
                 {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}],
    "words": ["banana", "Apple", "cherry", "apple"], "numbers": [3, 1, 2, 3], "n": 7, "f": 2.5, "neg": -7, "big": 1e20,
    "yes": True, "no": False, "nil": None, "text": "Hello World", "lines": "a\n\nb\n", "empty": "", "u": "Ünï ß",
    "d": {"b": 1, "a": 2, "C": 3}, "nested": {"items": [1, 2], "get": "g", "x": {"y": [10, 20]}}, "tab": "a\tb",
    "people": [{"name": "Bo", "age": 3, "city": "x"}, {"name": "al", "age": 1, "city": "Y"}, {"name": "Cy", "age": 2, "city": "X"}],
    "html": "<a href='x'>A & \"B\"</a>", "long": "The quick brown fox jumps over the lazy dog, well-known to all-round typists.",
    "pairs": [["k", 1], ["l", "m n/o"]], "number_text": " 42 ", "hex": "0x1F", "list2": [[1, 2], [3]],
}

SPACE = [
    "a\r\nb\rc\n", "a\r\n\r\n", "a\n\n", "\n", "", "{% if yes %}\r\nx\r\n{% endif %}\r\ny", "{{ 'a\r\nb' }}", "{{ n }}\n\n{{ n }}\n",
    "  {% if yes %}\n  x\n  {% endif %}\n", "{%- if yes -%}\n x \n{%- endif -%}\n y", "a {#- c -#} b", "a\n {# c #}\n b",
    "{% raw %}\n{{ x }}\n{% endraw %}\nz", "{%+ if yes %} x{% endif %}", "  {%+ if yes +%}\n x{% endif %}", "{{- n -}}  x", "a\t{% set x = 1 %}\nb",
    "{% for i in [1,2] %}\n{{ i }}\n{% endfor %}\n", "x{% set y %}\n q\n{% endset %}[{{ y }}]", "a  {%- set x = 1 %}\n  b", "\ta\n\t{% if yes %}\nb{% endif %}",
    "{% macro m(a) %}\n[{{ a }}]\n{% endmacro %}\n{{ m(1) }}\n", "{# c #}\nx", "x{# c #}\n", "a\n    {{ n }}\nb", "{%- for m in messages %}\n{{- m.role }}\n{%- endfor %}\n",
]

UNDEFINED = [f"[{{{{ {e} }}}}]" for e in [
    "nothing", "nothing|length", "nothing|count", "nothing|first", "nothing|last", "nothing|join(',')", "nothing|list", "nothing|sort", "nothing|upper",
    "nothing|lower", "nothing|trim", "nothing|title", "nothing|capitalize", "nothing|string", "nothing|default('d')", "nothing|d", "nothing|default",
    "nothing|reverse|list", "nothing|unique|list", "nothing|map('upper')|list", "nothing|select|list", "nothing|sum", "nothing|min", "nothing|max",
    "nothing|batch(2)|list", "nothing|groupby('a')", "nothing|items|list", "nothing|dictsort", "nothing|int", "nothing|float", "nothing|abs", "nothing|round",
    "nothing|tojson", "nothing|replace('a', 'b')", "nothing|wordcount", "nothing|escape", "nothing|indent", "nothing.x", "nothing['x']", "nothing[0]", "nothing()",
    "nothing.x()", "nothing + 'a'", "nothing ~ 'a'", "'a' ~ nothing", "nothing == nothing", "nothing == none", "nothing is defined", "nothing is none", "nothing is string",
    "nothing is iterable", "nothing is sequence", "nothing is mapping", "'a' in nothing", "nothing in 'a'", "nothing in [1]", "nothing < 1", "not nothing", "nothing or 'x'",
    "nothing and 'x'", "nothing if yes", "1 if no", "(1 if no) is undefined", "messages[9]", "messages[9].x", "messages[0].tool_calls", "messages[0].tool_calls|length",
    "d.zz", "d['zz'] is defined", "nothing * 2", "-nothing", "nothing[1:]", "nothing|random", "nothing|xmlattr", "nothing|urlencode", "nothing|truncate", "nothing|center(4)",
    "nothing|format", "nothing|attr('x')", "nothing|map(attribute='x')|list", "nothing|selectattr('x')|list", "nothing|wordwrap", "nothing|striptags", "nothing|filesizeformat",
    "nothing|pprint", "nothing is even", "nothing is divisibleby 3", "nothing is lower", "nothing is true", "nothing is sameas nothing", "nothing % 2"]] + [
    "{% for x in nothing %}x{% else %}none{% endfor %}", "{% for x in nil %}x{% endfor %}", "{% for x in n %}x{% endfor %}", "{% if nothing %}a{% else %}b{% endif %}",
    "{% for k, v in nothing.items() %}x{% endfor %}", "{% set x = nothing %}[{{ x }}]", "{% if messages[0].tool_calls is defined and messages[0].tool_calls %}a{% endif %}b"]

FILTERS = [f"{{{{ {e} }}}}" for e in [
    "neg|abs", "f|abs", "'x'|abs", "d|attr('b')", "text|attr('upper') is callable", "numbers|batch(2)|list", "numbers|batch(3, 'x')|list", "numbers|batch(linecount=3, fill_with='x')|list",
    "'heLLO wORLD'|capitalize", "u|capitalize", "'ab'|center(6)", "'ab'|center(7)|replace(' ', '.')", "'ab'|center(width=5)|length", "text|count", "words|length", "d|length", "n|length", "nil|length",
    "empty|default('d')", "empty|default('d', true)", "nil|default('d')", "nil|d('d', boolean=True)", "no|default(1, true)", "d|dictsort", "d|dictsort(true)", "d|dictsort(false, 'value')",
    "d|dictsort(reverse=true)", "d|dictsort(case_sensitive=true, by='value', reverse=true)", "d|dictsort(by='x')", "html|e", "html|escape", "html|forceescape", "1|filesizeformat", "999|filesizeformat",
    "1000|filesizeformat", "1500000|filesizeformat", "1500000|filesizeformat(true)", "'2048'|filesizeformat(binary=true)", "words|first", "d|first", "text|first", "[]|first", "'3.5'|float", "'x'|float",
    "'x'|float(1.5)", "' 1e3 '|float", "n|float", "'inf'|float", "'%s-%d'|format('a', 3)", "'%(a)s'|format(a=1)", "'%05.1f|%x|%o|%e'|format(2.25, 255, 8, 12345.678)", "'%5s|%-5s|%r'|format('a', 'b', 'c')",
    "people|groupby('city')", "people|groupby('city', case_sensitive=true)|length", "people|groupby('zip', default='?')", "(people|groupby('age'))[0].grouper", "(people|groupby('age'))[0].list|length",
    "(people|groupby(attribute='age'))[1][0]", "lines|indent", "lines|indent(2)", "lines|indent(2, true)", "lines|indent(2, true, true)", "lines|indent('> ', blank=true)", "'a\nb'|indent(width=3, first=false)",
    "''|indent", "''|indent(2, true)", "'\n'|indent", "'a\n\n'|indent", "'a'|indent(first=true)", "number_text|int", "'3.9'|int", "'x'|int", "'x'|int(5)", "hex|int(0, 16)", "'ff'|int(0, 16)", "'0b11'|int(base=2)", "'z'|int(default=-1, base=36)",
    "f|int", "yes|int", "nil|int", "'1_000'|int", "'1__0'|int", "words|int", "'-7'|int", "'1e2'|int", "d|items|list", "n|items|list", "words|join", "words|join('-')", "words|join(d=', ')", "people|join(', ', attribute='name')",
    "people|join(', ', 'age')", "[1, none, true, 2.0]|join('|')", "'abc'|join('-')", "words|last", "text|last", "[]|last", "words|list", "'ab'|list", "d|list", "nil|list", "text|lower", "u|lower", "words|map('upper')|list",
    "people|map(attribute='name')|list", "people|map(attribute='zip', default='-')|list", "people|map(attribute='zip')|list|length", "words|map('replace', 'a', 'o')|list", "words|map('truncate', 3, true, '', leeway=0)|list",
    "[[1,2],[3,4]]|map(attribute=1)|list", "[{'a': {'b': 1}}]|map(attribute='a.b')|list", "[[1, [2]]]|map(attribute='1.0')|list", "words|map|list", "words|map('nofilter')|list", "numbers|max", "words|max", "words|max(true)", "people|max(attribute='age')", "[]|max",
    "numbers|min", "words|min(case_sensitive=true)", "people|min(attribute='name')", "d|pprint", "numbers|reject('odd')|list", "numbers|reject('equalto', 3)|list", "people|rejectattr('age', 'gt', 1)|map(attribute='name')|list", "people|rejectattr('zip')|list|length",
    "text|replace('l', 'L')", "text|replace('l', 'L', 1)", "text|replace('l', 'L', count=2)", "'aaa'|replace('', '-')", "n|replace(7, 8)", "text|reverse", "numbers|reverse|list", "d|reverse|list", "f|round", "3.5|round", "2.675|round(2)", "2.5|round(0)", "n|round", "n|round(1)",
    "2.4|round(method='ceil')", "2.6|round(0, 'floor')", "1234.567|round(-2)", "1234|round(-2)", "2.345|round(2, 'ceil')", "text|safe", "numbers|select('odd')|list", "numbers|select('gt', 2)|list", "numbers|select('in', [1, 2])|list", "[0, 1, '']|select|list",
    "people|selectattr('age')|list|length", "people|selectattr('age', 'equalto', 3)|map(attribute='name')|join", "people|selectattr('name', 'in', ['Bo', 'Cy'])|list|length", "people|selectattr('zip', 'defined')|list", "numbers|slice(3)|list", "numbers|slice(3, 'x')|list", "numbers|slice(slices=2)|list",
    "words|sort", "words|sort(true)", "words|sort(case_sensitive=true)", "people|sort(attribute='age')|map(attribute='name')|list", "people|sort(attribute='city,age')|map(attribute='name')|list", "people|sort(reverse=true, attribute='name')|map(attribute='name')|list", "d|sort", "'bca'|sort", "[1, 'a']|sort",
    "[true, 0, 2.5]|sort", "n|string", "nil|string", "words|string", "'<p>a  b</p><!-- c --> &amp; d'|striptags", "numbers|sum", "people|sum(attribute='age')", "numbers|sum(start=10)", "[[1],[2]]|sum(start=[])", "['a']|sum", "[0.5, 1]|sum", "'hello-world foo(bar) [x'|title", "u|title", "\"it's\"|title",
    "d|tojson", "d|tojson(indent=2)", "people[0]|tojson(true)", "u|tojson", "u|tojson(ensure_ascii=true)", "d|tojson(sort_keys=true, separators=(',', ':'))", "[f, big, 1.0, neg, nil, yes, 1e-7]|tojson", "{1: 2, none: 3, true: 4}|tojson", "html|tojson", "(1, 2)|tojson", "[]|tojson(indent=2)", "numbers|map('string')|tojson",
    "'  a '|trim", "'xxaxx'|trim('x')", "'xya'|trim(chars='xy')", "n|trim", "long|truncate(20)", "long|truncate(20, true)", "long|truncate(20, end='>')", "long|truncate(20, leeway=0)", "text|truncate(9)", "text|truncate(9, false, '...', 0)", "long|truncate(length=10, killwords=true, end='')", "text|truncate(2)",
    "words|unique|list", "words|unique(true)|list", "people|unique(attribute='city')|map(attribute='name')|list", "numbers|unique|list", "[1, true, 1.0]|unique|list", "text|upper", "u|upper", "'a b/c?d=é'|urlencode", "d|urlencode", "pairs|urlencode", "n|urlencode", "'a b, c'|wordcount", "u|wordcount",
    "long|wordwrap(20)", "long|wordwrap(10, false)", "long|wordwrap(12, wrapstring='|')", "'abcdefghij'|wordwrap(4)", "'abcdefghij k'|wordwrap(4, break_long_words=false)", "long|wordwrap(12, break_on_hyphens=false)", "'a b\n\nc d'|wordwrap(3)", "lines|wordwrap(2)", "'x  y   z'|wordwrap(4)",
    "{'a': 1, 'b': none, 'c': 'x<'}|xmlattr", "{'a': 1}|xmlattr(false)", "{'a b': 1}|xmlattr", "text|nofilter", "text|upper|lower|title", "text|upper(1)", "text|join(x=1)", "text|replace('a')", "-1|abs", "-f|abs", "'x'|upper ~ 'y'|upper",
    "numbers|select('odd')|length", "(numbers|select('gt', 99)) is true", "'y' if numbers|select('gt', 99) else 'n'", "'y' if numbers|select('gt', 99)|list else 'n'", "numbers|map('string')|first", "numbers|batch(2)|map('list')|list"]]

TESTS = [f"{{{{ {e} }}}}" for e in [
    "yes is boolean", "n is boolean", "range is callable", "text.upper is callable", "n is callable", "n is defined", "6 is divisibleby 3", "7 is divisibleby(3)", "n is eq 7", "n is equalto 7.0", "n is == 7", "n is ne 7", "n is != 8", "n is lt 8", "n is lessthan 8", "n is < 8",
    "n is le 7", "n is <= 7", "n is gt 7", "n is greaterthan 6", "n is ge 7", "n is >= 7", "text is escaped", "n is even", "n is odd", "neg is odd", "no is false", "0 is false", "nil is false", "'upper' is filter", "'nope' is filter", "f is float", "n is float", "2 is in [1, 2]", "'a' is in 'abc'", "n is integer",
    "yes is integer", "f is integer", "words is iterable", "n is iterable", "text is iterable", "nil is iterable", "text is lower", "'abc' is lower", "'123' is lower", "d is mapping", "words is mapping", "nil is none", "n is none", "no is none", "n is number", "yes is number", "'1' is number", "nil is sameas none", "yes is sameas true", "1 is sameas true",
    "n is sameas 7", "d is sameas d", "words is sequence", "d is sequence", "n is sequence", "text is sequence", "text is string", "n is string", "'even' is test", "'nope' is test", "yes is true", "1 is true", "n is undefined", "'ABC' is upper", "text is upper", "n is not even", "not n is odd", "text is nope", "n is odd and yes", "range(3) is sequence", "range(3) is iterable",
    "(numbers|map('abs')) is iterable", "(numbers|map('abs')) is sequence", "d.items() is iterable", "d.items() is sequence", "(1,) is sequence", "namespace() is mapping", "loop is defined", "messages is string", "messages[2].content is string", "messages[1].content is none"]]

OPERATORS = [f"{{{{ {e} }}}}" for e in [
    "1 + 2", "1 + 2.0", "'a' + 'b'", "[1] + [2]", "(1,) + (2,)", "'a' + 1", "[1] + (2,)", "yes + 1", "1 - 2", "'a' - 1", "2 * 3", "'ab' * 3", "3 * 'ab'", "[1] * 2", "'a' * -1", "'a' * 1.5", "7 / 2", "6 / 2", "1 / 0", "7 // 2", "neg // 2", "7 // -2", "7.5 // 2", "neg % 3", "7 % -3", "7.5 % 2", "1 % 0", "2 ** 3", "2 ** -1", "2 ** 0.5", "2 ** 3 ** 2",
    "-2 ** 2", "-n", "+n", "not n", "not not n", "1 ~ 2", "none ~ true ~ 1.5", "[1] ~ 'x'", "'%s %s' % ('a', 1)", "'%d%%' % 5", "'%s' % [1]", "'%(a)s' % {'a': 1}", "1 < 2", "1 < 2 < 3", "1 < 3 < 2", "1 < 'a'", "'a' < 'b'", "[1, 2] < [1, 3]", "(1, 2) < (1,)", "1 == 1.0", "1 == true", "'1' == 1", "[1] == [1.0]", "[1] == (1,)", "d == d", "{'a': 1} == {'a': 1.0}", "none == false",
    "1 != 2", "2 in [1, 2]", "2 not in [1, 2]", "'b' in 'abc'", "1 in 'abc'", "'a' in d", "1 in d", "[1] in [[1]]", "[1] in d", "1 in 5", "n in none", "1 and 2", "0 and 2", "0 or 'x'", "none or empty or 'z'", "n > 5 and n < 9", "1 if yes else 2", "1 if no else 2 if no else 3", "(1, 2)", "()", "(1)", "(1,)", "[1, 'a', none, true, 1.0, [2], (3,)]", "{'a': 1, 'b': [none]}", "{1: 2, (1, 2): 3}", "{[1]: 2}",
    "1e3", "1.5e-3", "0x1f", "0b11", "0o17", "1_000", "123456789012345678901234567890", "1e400", "'a' 'b'", "'\\n\\t\\\\'", "'\\u00e9\\x41'", "\"it's\"", "'a\\'b'", "1.0", "100000000000000000000.0", "1e16", "0.1 + 0.2", "1e-5", "f", "big", "-0.0", "u", "text[0]", "text[-1]", "text[99]", "text[1:3]", "text[:-1]", "text[::-1]", "text[::2]", "text[5:2]", "text[-3:]", "text[10:2:-3]", "u[::-1]",
    "numbers[0]", "numbers[-1]", "numbers[9]", "numbers[1:]", "numbers[::-1]", "numbers[-2:]", "numbers[:2]", "(1, 2, 3)[1:]", "numbers['x']", "numbers[1.5]", "numbers[yes]", "nil[1:]", "d[1:]", "n[0]", "n.x", "nil.x", "nil['x']", "d.a", "d['a']", "d[0]", "d[[1]]", "nested.items|length", "nested['items']", "nested.get('items')", "nested.get('zz', 5)", "nested.get('zz')", "nested.x.y[1]", "nested['x']['y'][-1]",
    "nested.items()|list|length", "nested.keys()|list", "d.values()|list", "d.items()", "d.keys()", "d.values()", "list2[0][1]", "text.0", "numbers.0", "numbers.1", "words|length > 3", "words|length * 2", "'a' ~ 'b' == 'ab'", "1 + 2 * 3 - 4 / 2", "(1 + 2) * 3", "not 1 == 2", "not (1 in [1])", "1 is odd == true", "2 + 3|string", "[1, 2, 3][1:][0]", "{'a': {'b': 2}}.a.b", "{'a': {'b': 2}}['a'].b", "true", "True", "none", "None", "false|string",
    "'x' in words or 'banana' in words", "'a' if 'b' not in words", "d.pop('a')", "d.update({})", "numbers.append(1)", "numbers.index(2)", "numbers.index(9)", "numbers.count(3)", "(1, 1, 2).count(1)", "text.__class__", "n.bit_length()", "f.is_integer()", "messages[0]['role'] + ': ' + messages[0]['content']", "messages[1].content + 'x'", "messages|map(attribute='role')|join(',')", "messages[2].content|map(attribute='text')|join",
    "(messages|first).role", "(messages|selectattr('role', 'equalto', 'assistant')|first).content", "messages[-1].content[0].text", "messages[::2]|length"]]

METHODS = [f"{{{{ {e} }}}}" for e in [
    "'heLLo wORLD'.capitalize()", "'Straße'.casefold()", "'ab'.center(6, '*')", "'ab'.center(7, '*')", "'abab'.count('ab')", "'abab'.count('b', 2)", "'aaa'.count('')", "'aaa'.count('a', 1, -1)", "text.endswith('ld')", "text.endswith(('x', 'ld'))", "text.endswith('lo', 0, 5)", "tab.expandtabs()", "tab.expandtabs(4)", "'a\tb\nc\td'.expandtabs(tabsize=2)", "text.find('o')", "text.find('o', 5)", "text.find('z')", "text.find('o', 5, 6)", "u.find('ß')",
    "'{} {}'.format(1, 'a')", "'{0}{1}{0}'.format('a', 'b')", "'{x}-{y:>4}|{z:.2f}'.format(x=1, y='b', z=2.345)", "'{{}}'.format()", "'{!r}'.format('a')", "'{:05d}|{:x}|{:,}'.format(42, 255, 1234567)", "'{:^7}|{:<4}|{:*>4}'.format('a', 'b', 'c')", "'{a[k]}'.format(a={'k': 1})", "'{}'.format()", "'{x}'.format_map({'x': 1})", "text.index('W')", "text.index('z')", "'ab1'.isalnum()", "'ab1'.isalpha()", "'ab'.isascii()", "u.isascii()",
    "'12'.isdecimal()", "'1.2'.isdecimal()", "'²'.isdigit()", "'²'.isdecimal()", "'½'.isnumeric()", "'a_1'.isidentifier()", "'1a'.isidentifier()", "'ab1'.islower()", "'1'.islower()", "'a\n'.isprintable()", "' \t'.isspace()", "''.isspace()", "'Ab Cd'.istitle()", "'AbC'.istitle()", "'AB1'.isupper()", "'-'.join(words)", "'-'.join('abc')", "'-'.join([1])", "','.join(d)", "'-'.join(words|map('upper'))", "'ab'.ljust(4, '.')", "'ab'.ljust(1)", "text.lower()", "'  a '.lstrip()", "'xxa'.lstrip('x')", "'xya'.lstrip('yx')",
    "'k=v=w'.partition('=')", "'k'.partition('=')", "'k=v=w'.rpartition('=')", "'k'.rpartition('=')", "'abc'.partition('')", "'abc'.removeprefix('a')", "'abc'.removeprefix('x')", "'abc'.removesuffix('c')", "'aaa'.replace('a', 'b')", "'aaa'.replace('a', 'b', 2)", "'aaa'.replace('a', 'b', -1)", "'ab'.replace('', '-')", "text.rfind('o')", "text.rindex('o')", "text.rindex('z')", "'ab'.rjust(4, '.')", "'a,b,c'.rsplit(',', 1)", "' a b  c '.rsplit()", "' a b  c '.rsplit(none, 1)", "' a b  c '.split(none, 1)", "'a b c'.split(maxsplit=1)", "'a,b,,c'.split(',')", "'a,b,c'.split(sep=',', maxsplit=1)",
    "''.split()", "''.split(',')", "'a'.split('')", "' a '.rstrip()", "'a..'.rstrip('.')", "'a\nb\r\nc\n'.splitlines()", "'a\nb\n'.splitlines(true)", "'a\nb'.splitlines(keepends=true)", "text.startswith('He')", "text.startswith(('x', 'H'))", "text.startswith('W', 6)", "text.startswith('')", "text.startswith(1)", "' a '.strip()", "'xax'.strip('x')", "' a '.strip(none)", "'aBc'.swapcase()", "\"they're bill's\".title()", "u.title()", "text.translate({72: 'J', 101: none})", "text.upper()", "'ß'.upper()", "'7'.zfill(3)", "'-7'.zfill(4)", "'+7'.zfill(4)", "text.nope()", "text.upper(1)", "n.upper()", "nil.upper()",
    "text.split()[0].upper().lower()", "text.strip().split('o')|join('0')", "d.get('a')", "d.get('zz', [])|length", "d.copy()", "d.items()|map('first')|list", "words.copy()", "'abc'.split('b')[-1]", "lines.split('\n')", "('a', 'b').index('b')", "text.find('Wo', -5)", "text.count('l', -3)", "text.encode()", "'{:>{w}}'.format('a', w=3)", "'{:+d} {: d} {:#x} {:08.3f} {:e} {:g} {:%} {:_}'.format(1, 2, 255, 3.14159, 12345.6, 0.00001, 0.25, 1234567)", "'{!s:>4}{!r}'.format(1, 'b')", "'{.role}'.format(messages[0])", "'{0[role]}'.format(messages[0])", "'{'.format()", "'%5.2f|%-6d|%+d|%06d|%.3d|%g|%G|%i|%c|%c|%a'|format(3.14159, 4, 5, -6, 7, 1e10, 1e-10, 8.9, 'x', 65, 'é')", "'%s' % nothing", "'%s %s' % 'a'", "'a' % 1", "'%d' % 'a'", "'%.2s|%5.1s' % ('abc', 'xyz')", "'%s' % {'a': 1}", "'{:s}'.format(1)", "'{:d}'.format('a')", "'{:.3}'.format(3.0)", "'{:.3}'.format('abcdef')", "'{}'.format(none)", "'{:>6}'.format(true)", "'a-b_c'.split('-')[1].split('_')"]]

GLOBALS = [
    "{{ range(3)|list }}", "{{ range(1, 7, 2)|list }}", "{{ range(5, 0, -2)|list }}", "{{ range(0)|list }}", "{{ range(3)[1] }}", "{{ range(100001)|list|length }}", "{{ range(1, 2, 0) }}", "{{ dict(a=1, b=2) }}", "{{ dict({'x': 1}, y=2) }}", "{{ dict([['a', 1]]) }}", "{{ dict(**d) }}",
    "{% set ns = namespace(a=1) %}{% set ns.b = ns.a + 1 %}{{ ns.a }}{{ ns.b }}", "{% set ns = namespace({'a': 1}) %}{{ ns.a }}", "{% set ns = namespace() %}{{ ns.x }}|{{ ns.x is defined }}", "{% set ns = namespace(l=[]) %}{% for i in range(3) %}{% set ns.l = ns.l + [i] %}{% endfor %}{{ ns.l }}",
    "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ c.next() }}", "{% set j = joiner() %}{{ j() }}a{{ j() }}b{{ j() }}c", "{% set j = joiner('|') %}{{ j() }}a{{ j() }}b", "{{ namespace }}" if False else "{{ namespace is callable }}", "{{ raise_exception('x') }}",
    "{% set d.a = 1 %}", "{% set ns = namespace() %}{% set ns.f = 1 %}{{ ns['f'] }}",
]

STATEMENTS = [
    "{% for i in numbers %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.cycle('x', 'y') }}{{ loop.depth }}{{ loop.depth0 }};{% endfor %}", "{% for i in numbers %}{{ loop.previtem }}<{{ i }}>{{ loop.nextitem }};{% endfor %}",
    "{% for i in [1, 1, 2] %}{{ loop.changed(i) }}{% endfor %}", "{% for i in numbers if i > 1 %}{{ i }}{{ loop.length }}{% else %}none{% endfor %}", "{% for i in [] %}x{% else %}none{% endfor %}", "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k in d %}{{ k }}{% endfor %}", "{% for k, v in d|dictsort %}{{ k }}{{ v }}{% endfor %}", "{% for c in text %}{{ c }}.{% endfor %}",
    "{% for a, b in [[1, 2], [3, 4]] %}{{ a }}{{ b }}{% endfor %}", "{% for a, b in [[1]] %}x{% endfor %}", "{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}", "{% for x in list2 recursive %}[{{ loop(x) if x is iterable else x }}]{% endfor %}", "{% for i in numbers|select('odd') %}{{ i }}{{ loop.last }}{% endfor %}", "{% for i in numbers|reverse %}{{ i }}{% endfor %}",
    "{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{% endfor %}{{ x }}", "{% set x = 1 %}{% if yes %}{% set x = 2 %}{% endif %}{{ x }}", "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a, b = [3, 4] %}{{ a }}{{ b }}", "{% set x %}a{{ n }}{% endset %}{{ x|length }}", "{% set x | upper %}abc{% endset %}{{ x }}", "{% if n > 8 %}a{% elif n > 6 %}b{% else %}c{% endif %}", "{% if nil %}a{% elif words %}b{% endif %}", "{% if not messages[1].content %}e{% endif %}",
    "{% macro m(a, b='d', c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }}{{ m(1, 2, 3) }}{{ m(b=1, a=2) }}", "{% macro m(a) %}[{{ a }}]{% endmacro %}{{ m() }}", "{% macro m(a) %}x{% endmacro %}{{ m(1, 2) }}", "{% macro m() %}{{ caller() }}!{% endmacro %}{% call m() %}hi{% endcall %}", "{% macro m() %}{{ caller(1) }}!{% endmacro %}{% call(x) m() %}h{{ x }}{% endcall %}", "{% macro m() %}{{ x }}{% endmacro %}{% set x = 1 %}{{ m() }}", "{% set x = 1 %}{% macro m() %}{{ x }}{% endmacro %}{% set x = 2 %}{{ m() }}",
    "{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}", "{% macro m(a) %}{{ a|upper }}{% endmacro %}{{ m('x') ~ m('y') }}", "{{ m.name if m is defined }}{% macro m() %}{% endmacro %}{{ m.name }}", "{% filter upper %}abc{{ text }}{% endfilter %}", "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}", "{% block b %}x{{ n }}{% endblock %}", "{% include 'x' %}", "{% extends 'x' %}", "{% import 'x' as y %}",
    "{% generation %}a{{ n }}{% endgeneration %}b", "{% raw %}{{ n }}{% endraw %}", "{# {{ n }} #}x", "{{ '{{' }}{{ '%}' }}", "{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}", "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% elif m.content is iterable and m.content is not mapping %}{% for p in m.content %}{{ p.text }}{% endfor %}{% else %}-{% endif %}{% endfor %}",
    "{% set ns = namespace(last=-1) %}{% for m in messages[::-1] %}{% set index = (messages|length - 1) - loop.index0 %}{% if m.role == 'user' and ns.last < 0 %}{% set ns.last = index %}{% endif %}{% endfor %}{{ ns.last }}", "{% set loop_messages = messages[1:] if messages[0].role == 'system' else messages %}{{ loop_messages|length }}", "{{ messages[0].content.split('i')[0] if messages[0].content }}", "{% if 'x' in d and d.x %}a{% else %}b{% endif %}", "{% set d2 = dict(d, **{'z': 9}) %}{{ d2.z }}{{ d2|length }}",
    "{% for t in [{'function': {'name': 'f', 'parameters': {'properties': {'items': {'type': 's'}}}}}] %}{% for k, v in t.function.parameters.properties.items() %}{{ k }}={{ v.type }}{% endfor %}{% endfor %}", "{% if text.startswith('H') and not text.endswith('x') %}y{% endif %}", "{{ text if text is string else text|tojson }}", "{% set x = namespace(found=false) %}{% for m in messages if m.role == 'assistant' %}{% set x.found = true %}{% endfor %}{{ x.found }}", "{% do numbers %}", "{% if %}", "{{ }}", "{{ 1 2 }}", "{% endif %}", "{% unknown %}", "{{ x", "{{ 'x }}",
    "{% autoescape true %}{{ 1 }}{% endautoescape %}", "{{ [1, 2, 3,] }}{{ {'a': 1,} }}", "{% set x = [1, 2] %}{{ x is sameas x }}", "{%set x=1%}{{x}}", "{{ words[0]\n | upper }}", "{{ self is defined }}", "{{ dict(a=1).a }}", "{{ (words|sort)[0] }}", "{{ words | map('length') | list }}", "{{ [words|first, words|last]|join(' ') }}",
]


# Where the Rust library is known to differ, rarely met: bools as keys beside 0 and 1, bytes, `self`, defaults of a macro's
# arguments that name other arguments.
KNOWN = ["{{ {1: 2, none: 3, true: 4}|tojson }}", "{{ [1, true, 1.0]|unique|list }}", "{{ text.encode() }}", "{{ self is defined }}",
         "{% macro m(a, b='d', c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }}{{ m(1, 2, 3) }}{{ m(b=1, a=2) }}"]


def environment():
    class Generation(jinja2.ext.Extension):
        tags = {"generation"}

        def parse(self, parser):
            line = next(parser.stream).lineno
            body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
            return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

        def _body(self, caller):
            return caller()

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    return env


def main():
    env, cases = environment(), []
    for source in SPACE + UNDEFINED + FILTERS + TESTS + OPERATORS + METHODS + GLOBALS + STATEMENTS:
        try:
            result = env.from_string(source).render(**VARIABLES)
        except Exception:  # noqa: every error of a template is one kind here
            result = None
        if source not in KNOWN and (result is None or " at 0x" not in result):
            cases.append([source, result])
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "jinja_cases.json")
    with open(path, "w", encoding="utf-8", newline="\n") as out:
        lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
        out.write('{"variables": ' + json.dumps(VARIABLES, ensure_ascii=False) + ',\n"cases": [\n' + lines + "\n]}\n")
    print(len(cases), "cases,", sum(result is None for _, result in cases), "of them errors")


main()
