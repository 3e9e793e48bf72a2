#!/usr/bin/env python3
"""Writes tests/data/templates/jinja_cases.json: small templates and what Jinja2 makes of them.

Needs jinja2 (3.1). The environment is the one that chat templates are written for: trim_blocks,
lstrip_blocks, loop controls, tojson without HTML escaping. Run it after adding cases here.
"""
import datetime
import json
import pathlib
import sys

import jinja2
import jinja2.nodes
from jinja2.ext import Extension
from jinja2.sandbox import SandboxedEnvironment

NOW = datetime.datetime(2026, 1, 2, 3, 4, 5)

VARIABLES = {
    "s": "Hello, World", "blank": "  padded \n", "empty": "", "uni": "Grüße, 日本語 🙂!",
    "quote": "it's \"so\" \\ here", "n": 7, "zero": 0, "neg": -13, "f": 2.5, "big": 9007199254740993,
    "yes": True, "no": False, "nothing": None, "list": [3, 1, 2], "words": ["b", "A", "c", "B", "a"],
    "nested": [[1, 2], [3, 4]], "d": {"b": 2, "a": 1, "C": 3},
    "deep": {"x": {"y": [{"z": "found"}]}},
    "users": [{"name": "Ann", "age": 30, "city": "Rome", "ok": True},
              {"name": "bob", "age": 25, "city": "rome", "ok": False},
              {"name": "Cyd", "age": 30, "city": "Oslo"}],
    "tree": [{"v": 1, "kids": [{"v": 2, "kids": []}, {"v": 3, "kids": [{"v": 4, "kids": []}]}]}],
    "lines": "one\ntwo\n\nfour", "html": "<a href=\"x\">T & 'U'</a>", "odd_keys": {"items": 5, "get": 6},
    "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}],
}

EXPRESSIONS = r"""
1 + 2 * 3 - 4 / 2
7 // 2, -7 // 2, 7 // -2, 7.5 // 2, -7.5 // 2
7 % 3, -7 % 3, 7 % -3, 7.5 % 2, -7.5 % 2
2 ** 10, 2 ** -1, 2 ** 0.5, 2 ** 3 ** 2, -2 ** 2
10 / 4, 10 / 5, 1 / 3, 0.1 + 0.2
1 / 0
1 // 0
5 % 0
1.0, 1e3, 1e16, 1e15, 123456789012345678.0, 1e-4, 1e-5, 1.5e300, 0.1, 100.0, 1E5
0x1F, 0b101, 0o17, 1_000, 00
-n, +n, --n, - f
1 < 2 < 3, 1 < 3 < 2, 3 > 2 >= 2, 1 == 1.0, 1 == True, 'a' < 'b', [1, 2] < [1, 3]
1 < 'a'
nothing < 1
1 == '1', nothing == no, [1] == (1,), {'a': 1} == {'a': 1.0}
yes and no, yes or no, not yes, 0 or 'x', '' and 1, nothing or empty or 'last'
not yes == no
n in list, 3 in list, 'ell' in s, 'x' not in s, 'a' in d, 'z' in d, 1 in (1, 2), 'a' not in ['b']
1 in 5
1 in 'abc'
'a' ~ 1 ~ nothing ~ yes ~ 2.0 ~ [1, 'b'] ~ missing
'a' + 'b' 'c' "d"
'a' + 1
1 + 'a'
[1] + [2, 3], (1,) + (2,), 'ab' * 3, 3 * 'ab', [0] * 3, (1, 2) * 2, 'a' * -1
[1] + (2,)
missing + 1
missing.attr
missing['x']
missing()
missing, missing ~ 'x', missing | default('dflt'), missing | length, missing | upper, missing | list
d.missing, d['missing'], d.missing is defined, list[99] is undefined, list.foo is defined
d.missing.deeper
users[0].name, users[-1]['city'], deep.x.y[0].z, deep['x']['y'][0]['z'], users.0.name
'yes' if n > 5 else 'no', 'only' if no, ('a' if no else 'b') if yes else 'c'
'a' if yes else 'b' if no else 'c'
s[0], s[-1], s[1:4], s[:5], s[7:], s[::-1], s[::2], s[-5:-1], s[10:2], s[99:], s[5:1:-1]
uni[0], uni[2], uni[-1], uni[-2], uni[7:10], uni[::-1], uni | length
list[1:], list[:-1], list[::-1], list[::2], (1, 2, 3)[1:], list[5:], list[-2:]
s['x'] is defined, s[99] is defined, list['a'] is defined
[1, 'two', 3.0, none, true, [4], {'k': 'v'}, (5,), (), (6, 7)]
{'a': 1, "b": [1, 2], 3: 'x', 'c': {'d': none}}
quote, [quote], ['it\'s'], ["say \"x\""], ['both \' and "'], ['tab\t nl\n bs\\ nul\x00 é 🙂 \u200b']
'\x41\u00e9\U0001F642\101\n\t\\\'\"\q'
()
(1,)
1, 2
[1, 2,]
{'a': 1,}
range(5) | list, range(2, 5) | list, range(10, 0, -3) | list, range(0) | list, range(3), range(1, 9, 2)
range(5)[2], range(10)[-1], range(5) | length, 3 in range(5), 9 in range(0, 10, 2), range(10)[2:5] | list
range(0, 10, 0)
range(10**5) | length, (10**5 - 1) in range(10**5)
dict(a=1, b=2), dict([('x', 1)]), dict({'a': 1}, b=2)
namespace(a=1, b='x').b
s.upper(), s.lower(), s.title(), s.swapcase(), 'hELLO wORLD'.capitalize(), "they're bill's".title()
blank.strip(), blank.lstrip(), blank.rstrip(), 'xxaxx'.strip('x'), 'abcab'.lstrip('ab'), 'abcba'.rstrip('ab')
[blank.strip(), blank.lstrip(), blank.rstrip(), blank | trim]
s.split(), s.split(','), s.split('o', 1), s.rsplit('o', 1), ' a  b '.split(), ' a  b '.split(' '), 'a,b,c'.split(',', -1)
'a b c d'.split(none, 2), 'a b c d'.rsplit(none, 2), ''.split(), ''.split(',')
'abc'.split('')
s.startswith('Hell'), s.endswith('ld'), s.startswith('x'), s.startswith(('x', 'H')), s.startswith('World', 7), s.endswith('Hello', 0, 5)
s.startswith(1)
s.find('o'), s.rfind('o'), s.find('zz'), s.index('W'), s.count('l'), s.count(''), s.find('o', 5), uni.find('🙂'), s.find('')
s.index('zz')
s.replace('l', 'L'), s.replace('l', 'L', 1), s.replace('', '-'), 'aaa'.replace('aa', 'b'), uni.replace('日', 'x')
', '.join(['a', 'b']), ''.join(['x']), '-'.join('abc')
', '.join([1, 2])
'{} and {}'.format(1, 'x'), '{0}{1}{0}'.format('a', 'b'), '{x}-{y}'.format(x=1, y=2), '{:>5}|{:<5}|{:^5}'.format('a', 'b', 'c'), '{:05d} {:.2f} {:,} {:x} {:+d}'.format(42, 3.14159, 1234567, 255, 7)
'{!r} {{}} {:.3s} {:*^9}'.format('q', 'abcdef', 'mid'), '{a[k]}'.format(a={'k': 'v'}), '{:%}'.format(0.25), '{:e}'.format(12345.678), '{:g}'.format(0.0001)
'%s is %d and %.2f' % ('x', 3, 2.5), '%s' % 'one', '%5d|%-5d|%05d|%+d' % (1, 2, 3, 4), '%x %X %o %%' % (255, 255, 8), '%(a)s-%(b)d' % {'a': 'x', 'b': 2}, '%r' % ('q',), '%5s|%-5s|%.2s' % ('a', 'b', 'cde'), '%e %g' % (1234.5, 0.5), '%c' % 65
'%d' % 'x'
'%s %s' % ('a',)
'%s' % ('a', 'b')
'a\nb\r\nc\x0bd'.splitlines(), 'a\nb\n'.splitlines(), 'a\nb'.splitlines(true), ''.splitlines()
'123'.isdigit(), 'abc'.isalpha(), 'a1'.isalnum(), ' '.isspace(), 'AB'.isupper(), 'ab'.islower(), ''.isdigit(), 'Ab Cd'.istitle(), '٣'.isdigit(), 'a b'.isidentifier(), 'ab'.isascii(), 'é'.isascii()
'abc'.center(9, '*'), 'abc'.ljust(5) ~ '|', 'abc'.rjust(5), '42'.zfill(5), '-42'.zfill(5), 'ab'.center(5) ~ '|', 'abc'.center(6) ~ '|'
'prefix-x'.removeprefix('prefix-'), 'x.txt'.removesuffix('.txt'), 'a=b=c'.partition('='), 'a=b=c'.rpartition('='), 'abc'.partition('x')
'straße'.upper(), 'ÀÉ'.lower(), 'éa'.capitalize(), 'ǆ'.title()
s.nosuch()
s.nosuch is defined
d.items() | list, d.keys() | list, d.values() | list, d.items(), d.keys(), d.values()
d.get('a'), d.get('zz'), d.get('zz', 9), d.get('zz') is none
odd_keys.items is callable, odd_keys['items'], odd_keys['get'], odd_keys.items() | list
d | length, d | list, d | first, d | join(','), d.items() | length
{'a': 1}.copy(), {'a': 1}.pop('a'), {'a': 1}.pop('b', 5), {'a': 1}.setdefault('b', 2)
{'a': 1}.pop('b')
list.index(2), list.count(1), (1, 1, 2).count(1), (1, 2).index(2)
list.index(99)
list | sort, words | sort, words | sort(case_sensitive=true), words | sort(reverse=true), users | sort(attribute='age') | map(attribute='name') | list, users | sort(attribute='age,name', reverse=true) | map(attribute='name') | join(',')
[1, 'a'] | sort
list | min, list | max, list | sum, words | min, words | max, [] | max, users | sum(attribute='age'), [0.5, 1] | sum(start=10), users | max(attribute='age')
list | first, list | last, [] | first, 'abc' | first, 'abc' | last, d | last
list | reverse | list, 'abc' | reverse, (1, 2) | reverse | list
list | join, list | join('-'), users | join(', ', attribute='name'), 'abc' | join('.'), [1, none, true] | join('|')
words | unique | list, words | unique(case_sensitive=true) | list, users | unique(attribute='city') | map(attribute='name') | list
users | map(attribute='name') | list, users | map(attribute='missing', default='-') | list, words | map('upper') | list, list | map('string') | join, nested | map('first') | list, users | map(attribute='age') | sum
users | map(attribute='missing') | list
nested | map(attribute=1) | list, [['a', ['b']]] | map(attribute='1.0') | list
users | selectattr('ok') | map(attribute='name') | list, users | rejectattr('ok') | map(attribute='name') | list, users | selectattr('age', '>', 26) | map(attribute='name') | list, users | selectattr('age', 'equalto', 25) | list | length, users | selectattr('ok', 'defined') | list | length, users | rejectattr('name', 'in', ['Ann']) | map(attribute='name') | list
list | select('odd') | list, list | reject('odd') | list, [0, 1, '', 'a'] | select | list, list | select('divisibleby', 3) | list, nothing | select | list, nothing | map('upper') | list, words | select('in', ['a', 'b']) | list
list | select('nosuch') | list
list | map('nosuch') | list
list | nosuch
list | map | list
list | select('odd') | length
(list | map('string'))[0] is defined
list | batch(2) | list, list | batch(2, 'x') | list, list | slice(2) | list, list | slice(2, 'x') | list
users | groupby('city') | length, users | groupby('city', case_sensitive=true) | map('first') | list, users | groupby('age') | map(attribute='grouper') | list, (users | groupby('age'))[0].list | map(attribute='name') | list
users | groupby('ok', default=false) | map('first') | list
d | dictsort, d | dictsort(true), d | dictsort(by='value'), d | dictsort(reverse=true), d | dictsort(false, 'value', true)
d | dictsort(by='x')
d | items | list, missing | items | list
5 | items | list
s | upper, s | lower, s | title, 'hello wORLD-foo (bar)' | title, 'hELLO' | capitalize, 5 | upper, none | lower
s | replace('l', 'L'), s | replace('l', 'L', 1), 5 | replace(5, 6)
'x' | trim, ' x ' | trim ~ '|', 'xax' | trim('x'), 5 | trim
[' a ', 'b\n'] | map('trim') | list
lines | indent, lines | indent(2), lines | indent(2, true), lines | indent(2, false, true), lines | indent(width=3, first=true, blank=true), lines | indent('> '), 'x' | indent, '' | indent(2, true), 'a\n' | indent(2)
5 | indent
'foo bar baz qux' | truncate(9), 'foo bar baz qux' | truncate(9, true), 'foo bar baz qux' | truncate(11), 'foo bar baz qux' | truncate(11, false, '...', 0), 'foo' | truncate(3, leeway=0)
'a b_c d-e' | wordcount, '' | wordcount
'abc' | center(9), 'abc' | length, 'abc' | count, 'abc' | list
'%s %s' | format('a', 1), '%(x)s' | format(x=2)
html | e, html | escape, html | forceescape, html | safe, (html | safe) ~ '<', (html | safe) + '<', '<' + ('a' | e), ('a' | safe) | upper + '<'
html | e | e, html | e | forceescape, [html | safe], (html | safe) | string + '<', 'x' | safe is escaped
'a b&c/d?é' | urlencode, {'a b': 'c&d', 'e': 1} | urlencode, [('x', 'y z')] | urlencode
'<p>a  <b>b</b></p><!-- c --> d' | striptags
1000 | filesizeformat, 1 | filesizeformat, 1500000 | filesizeformat, 1048576 | filesizeformat(true), 999 | filesizeformat
'42' | int, '42.9' | int, 'x' | int, 'x' | int(7), '0x1A' | int(0, 16), '1010' | int(base=2), 3.99 | int, -3.99 | int, none | int, true | int, ' 7 ' | int, '1e3' | int, '-5' | int, '1_000' | int, '' | int
'4.5' | float, 'x' | float, 3 | float, 'x' | float(1.5), '1e3' | float, none | float, ' 2 ' | float, 'inf' | float, '-.5' | float
missing | int
2.5 | round, 3.5 | round, 2.675 | round(2), 42.55 | round(1, 'floor'), 42.51 | round(1, 'ceil'), 7 | round, 1234 | round(-2), 2.5 | round | int, -2.5 | round, 1.005 | round(2), 42.4 | round(0, 'ceil')
2.5 | round(1, 'x')
-5 | abs, 5.5 | abs, -2.5 | abs
'a' | abs
nothing | default('x'), nothing | default('x', true), '' | default('x', true), 0 | d(5, boolean=true), missing | default, missing | d(none)
d | tojson, list | tojson, s | tojson, uni | tojson, quote | tojson, html | tojson, nothing | tojson, yes | tojson, f | tojson, 1.0 | tojson, 1e20 | tojson, '\x00\x1f\x7f\b\f\n\r\t/' | tojson
d | tojson(indent=2), nested | tojson(indent=1), {} | tojson(indent=2), [] | tojson(indent=2), users | tojson(indent=4), {'a': []} | tojson(indent=2), d | tojson(indent=0), d | tojson(indent='--')
uni | tojson(ensure_ascii=true), uni | tojson(true), '\x7f🙂' | tojson(ensure_ascii=true), d | tojson(sort_keys=true), d | tojson(separators=(',', ':')), d | tojson(indent=2, separators=(', ', ' = ')), (1, 2) | tojson, {1: 'a', true: 'b', none: 'c', 1.5: 'd'} | tojson
missing | tojson
range(3) | tojson
{(1, 2): 3} | tojson
s | string, 5 | string, [1] | string, 5 | string + 'x'
d | attr('a') is defined, s | attr('upper') is callable
n is odd, n is even, 8 is even, 9 is divisibleby 3, 9 is divisibleby(4), n is number, s is string, list is sequence, d is mapping, d is sequence, list is iterable, s is iterable, 5 is iterable, nothing is none, n is integer, f is float, yes is boolean, yes is true, no is false, n is true
missing is defined, n is defined, missing is undefined, n is not none, missing is none, missing is string, missing is iterable, missing is sequence, missing is mapping
yes is number, yes is integer, 1.0 is integer, range(3) is sequence, range(3) is iterable, d.items() is sequence, s is mapping
'abc' is lower, 'ABC' is upper, 'Abc' is lower, '1' is lower, n is eq 7, n is equalto(7), n is ne 8, n is gt 3, n is ge 7, n is lt 3, n is le 7, n is sameas 7, s is in 'x' , 1 is in [1], n is greaterthan 3, n is lessthan 3, n is == 7
range is callable, s is callable, 'upper' is filter, 'nope' is filter, 'odd' is test, missing is callable
n is nosuch
n is odd and f is float, n is not odd or yes, not n is odd, (n is odd) == true
n is divisibleby
'a' is odd
joiner is defined, cycler is defined, loop is defined
[1, 2][0](3)
s()
raise_exception('boom')
strftime_now('%Y-%m-%d %H:%M:%S'), strftime_now('%d %b %Y %A %j %p %I %y %B'), strftime_now('')
[] | string ~ {} | string
none is none is none
{'a': 1}['a'], {'a': {'b': 2}}.a.b, [1, [2, 3]][1][0], (1, 2)[1], 'abc'[1]
[[]] * 2, [none] * 2
1 if missing else 2, 1 if missing is defined else 2
not missing, missing == missing, missing == none, missing in [1], [missing] | length, 'x' in missing
-missing
missing < 1
list[missing]
list[none] is defined
{'a': 1} + {'b': 2}
{[1]: 2}
[1, 2, 3] | join(', ') | upper | length
(1 + 2) * 3, 1 + (2 * 3), -(1 + 2), 2 * -3, not (1 and 0)
1 - 1, 1-1, n-1, n -1, 3 - -2
s . upper(), d . a, d ['a'], list [0]
9223372036854775807, -9223372036854775807 - 1
true, false, none, True, False, None
s|upper|lower|title, s|replace('o','0')|upper
"a" "b" 'c', 'multi' 'part' ~ 'x'
{'x': 1, 'y': 2} | length, {'x': 1, 'y': 2}.items() | map('first') | join
users | map(attribute='name') | map('upper') | select('ne', 'ANN') | join(' ')
'%s' % none, '%s' % [1, 2] | string, '%s' % {'a': 1}
dict(a=1).items() | list, dict(**{'x': 1}), range(*[1, 4]) | list
'a' in {'a': 1}.keys(), 1 in {'a': 1}.values(), ('a', 1) in {'a': 1}.items()
0.1, 1.1, 3.0e-7, 1.7976931348623157e308, 5e-324, 12345678.9, 1234567890123456.7
'é' < 'z', 'Z' < 'a', '' < 'a', 'a' < 'aa'
messages[0]['role'] ~ ': ' ~ messages[0].content, messages | length, messages[1:] | map(attribute='content') | list, messages[-1].role
(messages | last).content, (messages | first)['role'], messages | selectattr('role', 'equalto', 'user') | list
"\n" ~ 'x', '\\n', 'tab\tx', "it's", 'say "hi"'
f(1)
{'b': 1, 'a': 2} | sort, {'b': 1, 'a': 2} | list | sort | join, {} | length, {'a': 1} | tojson | length
[3, 2] | sort | first, [true, false] | sort, [1.5, 1] | sort, [(2, 'a'), (1, 'b')] | sort
s[:3] ~ '...' if s | length > 5 else s
1 in [1, 2] and 2 not in [1], 1 not in [2] == true
"a,b;c".replace(',', ';').split(';'), "A-B".lower().split('-')[1], " x ".strip().upper()
"""

TEMPLATES = [
    "{% for x in list %}{{ x }}{% endfor %}",
    "{% for x in [] %}a{% else %}none{% endfor %}", "{% for x in missing %}a{% else %}e{% endfor %}",
    "{% for x in list %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }};{% endfor %}",
    "{% for x in list %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {% endfor %}",
    "{% for x in list %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }} {% endfor %}",
    "{% for x in list %}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "{% for x in [1, 1, 2, 2, 1] %}{{ loop.changed(x) }} {% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k in d %}{{ k }}{% endfor %}",
    "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for a, b in [[1, 2, 3]] %}{{ a }}{% endfor %}", "{% for a, b in nested %}{{ a + b }} {% endfor %}",
    "{% for c in uni %}[{{ c }}]{% endfor %}", "{% for i in range(3) %}{{ i }}{% endfor %}",
    "{% for x in 5 %}{% endfor %}", "{% for x in nothing %}{% endfor %}",
    "{% for x in list if x > 1 %}{{ loop.index }}:{{ x }}/{{ loop.length }} {% else %}none{% endfor %}",
    "{% for x in list if x > 9 %}{{ x }}{% else %}none{% endfor %}",
    "{% for x in list if x > 1 %}{{ x }}{{ ',' if not loop.last }}{% endfor %}",
    "{% for m in tree recursive %}{{ loop.depth }}{{ loop.depth0 }}:{{ m.v }}({{ loop(m.kids) }}){% endfor %}",
    "{% for x in list %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in list %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in range(3) %}{% for y in range(2) %}{{ loop.index }}{% endfor %}{{ loop.index }};{% endfor %}",
    "{% set x = 0 %}{% for i in list %}{% set x = x + i %}{{ x }} {% endfor %}{{ x }}",
    "{% set ns = namespace(t=0) %}{% for i in list %}{% set ns.t = ns.t + i %}{% endfor %}{{ ns.t }}",
    "{% set ns = namespace() %}{% set ns.a = 1 %}{{ ns.a }}{{ ns.b is defined }}{{ ns['a'] is defined }}",
    "{% set d.x = 1 %}", "{% set missing.x = 1 %}", "{% set a, b = 1, 2 %}{{ b }}{{ a }}", "{% set a = 1, 2 %}{{ a }}",
    "{% set a, b = [1, 2, 3] %}", "{% set x %}a{{ n }}b{% endset %}{{ x }}|{{ x | length }}",
    "{% set x | upper %}abc{% endset %}{{ x }}", "{% set x | replace('a', 'b') | upper %}a{% endset %}{{ x }}",
    "{% if n > 5 %}a{% elif n > 3 %}b{% else %}c{% endif %}", "{% if zero %}a{% elif yes %}b{% else %}c{% endif %}",
    "{% if missing %}a{% else %}b{% endif %}", "{% if no %}{% endif %}x", "{% if yes %}{% set z = 1 %}{% endif %}{{ z }}",
    "{% macro m(a, b=2, c=a) %}{{ a }}-{{ b }}-{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(1, c=9) }} {{ m() }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(x=2) }}",
    "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}",
    "{% macro m(a) %}<{{ caller() }}{{ a }}>{% endmacro %}{% call m(1) %}body{{ n }}{% endcall %}",
    "{% macro m() %}{{ caller(1, 'x') }}{% endmacro %}{% call(a, b) m() %}{{ a }}{{ b }}{% endcall %}",
    "{% macro m() %}x{% endmacro %}{% call m() %}y{% endcall %}", "{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}",
    "{% macro fact(n) %}{{ 1 if n < 2 else n * (fact(n - 1) | int) }}{% endmacro %}{{ fact(5) }}",
    "{% macro m() %}{{ later }}{% endmacro %}{% set later = 5 %}{{ m() }}", "{% macro m() %}a{% endmacro %}{{ m() | upper }}{{ m.name }}",
    "{% macro m(x) %}{% set x = x + 1 %}{{ x }}{% endmacro %}{{ m(1) }}{{ x is defined }}",
    "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}", "{{ m() }}{% macro m() %}{% endmacro %}",
    "{% macro m(a, b) %}{% endmacro %}{{ m(1, a=2) }}", "{% macro m(a=1, b) %}{% endmacro %}",
    "{% filter upper %}abc{{ s }}{% endfilter %}", "{% filter replace('a', 'b') | upper %}a{% endfilter %}", "{% filter indent(2) %}a\nb{% endfilter %}",
    "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}", "{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q }}",
    "{% set a = 5 %}{% with a = 1, b = a %}{{ b }}{% endwith %}", "{% raw %}{{ x }}{% if %}{% endraw %}", "a{%- raw -%} x {%- endraw -%} b",
    "{% raw %}\nx\n{% endraw %}\ny", "{# c #}x{# multi\nline #}y", "a {#- c -#} b", "{# c #}\nx", "  {# c #}\n  x", "{# {{ x }} {% if %} #}z",
    "{% do list.append(9) %}{{ list }}", "{% set _ = list.append(4) %}{{ list }}{{ list.pop() }}{{ list.pop(0) }}{{ list }}",
    "{% set l = [] %}{% do l.extend([1, 2]) %}{% do l.insert(0, 0) %}{% do l.remove(1) %}{{ l }}{% do l.reverse() %}{{ l }}{% do l.clear() %}{{ l }}",
    "{% set l = [2, 1] %}{{ l.sort() }}{{ l }}{{ l.copy() }}", "{% set x = {} %}{% do x.update({'a': 1}) %}{% do x.update(b=2) %}{{ x }}{{ x.pop('a') }}{{ x }}",
    "{{ [].pop() }}", "{% set l = [1] %}{% for x in l %}{% if l | length < 4 %}{% do l.append(x + 1) %}{% endif %}{{ x }}{% endfor %}",
    "{% generation %}a{{ n }}{% endgeneration %}", "{% block b %}in{% endblock %}", "{% print 1, 2 %}",
    "  {% if yes %}\n  a\n  {% endif %}\nb", "  {%- if yes %}\n  a\n  {%- endif %}\nb", "{% if yes -%}\n  a\n{%- endif -%}\n\n b",
    "  {%+ if yes %}a{% endif %}", "{% if yes +%}\na{% endif %}", "x {{- n -}} y", "x\n  {{- n }}\ny", "x {{ n -}}\n  y", "{{+ n }}",
    "a\n{% if yes %}\nb\n{% endif %}\nc\n", "a\n\n", "a\n", "a\r\nb\rc", "\n\n{% if yes %}x{% endif %}", "   {{ n }}", "a   {% if yes %}b{% endif %}",
    "\t{% set x = 1 %}\n{{ x }}", "{%- set x = 1 -%}\n\n  {{ x }}", "x{% if yes %} y {% endif %} z", "{{ '{{' }}{{ '}}' }}{{ '{%' }}", "{{ {'a': {'b': 1}}}}", "{{ {'a': {}}['a'] }}",
    "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.reset() }}{{ c.next() }}",
    "{% set j = joiner('; ') %}{% for x in list %}{{ j() }}{{ x }}{% endfor %}", "{% set j = joiner() %}{{ j() }}a{{ j() }}b",
    "{% for g in users | groupby('city') %}{{ g.grouper }}:{% for u in g.list %}{{ u.name }}{% endfor %};{% endfor %}",
    "{% for g, us in users | groupby('age') %}{{ g }}:{{ us | map(attribute='name') | join(',') }};{% endfor %}",
    "{% set it = words | map('upper') %}{% for x in it %}{{ x }}{% endfor %}|{% for x in it %}{{ x }}{% endfor %}",
    "{% for x in list | reverse %}{{ x }}{% endfor %}", "{% for x in list[::-1] %}{{ loop.length }}{{ x }}{% endfor %}", "{% for x in d | items %}{{ x }}{% endfor %}",
    "{% for x in list %}{% set y = x %}{% endfor %}{{ y }}", "{% for x in list %}{% endfor %}{{ x }}", "{% for n in list %}{{ n }}{% endfor %}{{ n }}",
    "{% for x in list %}{{ loop.index }}{% for y in list %}{% if loop.first %}{{ x }}{{ y }}{% endif %}{% endfor %}{% endfor %}",
    "{% if %}{% endif %}", "{% for %}", "{% if yes %}", "{% endif %}", "{% nosuch %}", "{{ }}", "{{ 1 + }}", "{{ (1 }}", "{{ 1) }}", "{{ [1 }}", "{{ 'a }}", "{{ a b }}", "{% set %}", "{% set 1 = 2 %}", "{% set true = 1 %}", "{{ 1 is }}", "{{ x | }}", "{{ x. }}", "{{ x[ }}", "{# open", "{{ open", "{% open", "{% raw %}x", "{{ @ }}", "{{ 'a' if }}", "{% for x in list %}{% if yes %}{% endfor %}", "{% macro %}{% endmacro %}", "{% call 5 %}{% endcall %}", "{{ m(a=1, 2) }}", "{{ {1, 2} }}", "{{ {'a'} }}", "{% break %}", "{% else %}", "{{ 1 2 }}", "{{ '\\x4' }}", "{{ '\\u12' }}",
    "{% include 'x' %}", "{% extends 'x' %}", "{% if yes: %}x{% endif %}", "{% for x in list: %}{{ x }}{% endfor %}",
    "{{ 'a' 'b' }}", "{{ (1, 2) }}{{ (1) }}{{ () }}", "{{ users | map(attribute='name') | join(', ') if users else 'none' }}",
    "{% set x = 'a' if no %}{{ x }}|{{ x is defined }}", "{% set x = missing %}{{ x is defined }}", "{{ missing is defined and missing.x }}",
    "{%- for message in messages %}\n    {%- if message.role == 'user' %}\n        {{- '<|user|>' + message.content }}\n    {%- else %}\n        {{- '<|bot|>' ~ message['content'] }}\n    {%- endif %}\n{%- endfor %}\n",
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ 'S\n' }}{% endif %}{{ message['role'] + '\n' + message['content'] | trim }}{% if not loop.last %}{{ '\n' }}{% endif %}{% endfor %}",
    "{% set loop_messages = messages[1:] if messages[0].role == 'system' else messages %}{% for m in loop_messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('alternate!') }}{% endif %}{{ m.role }}{% endfor %}",
    "{{ strftime_now('%B %d, %Y') }}", "{% if messages[0].role is string and messages[0]['content'] is not mapping %}ok{% endif %}", "{% set x = [] %}{% set y = x %}{% do y.append(1) %}{{ x }}",
    "{% set ns = namespace(found=false, items=[]) %}{% for m in messages %}{% if not ns.found and m.role == 'assistant' %}{% set ns.found = true %}{% set ns.items = ns.items + [m.content] %}{% endif %}{% endfor %}{{ ns.found }}{{ ns.items }}",
    "{% macro t(x) %}{% if x is mapping %}{ {%- for k, v in x.items() %}{{ k }}:{{ t(v) }}{{ ',' if not loop.last }}{% endfor -%} }{% elif x is iterable and x is not string %}[{% for v in x %}{{ t(v) }}{% endfor %}]{% else %}{{ x | tojson }}{% endif %}{% endmacro %}{{ t(deep) }}",
    "{% for i in range(3) %}{{ i }}{{- '\n' if not loop.last }}{% endfor %}", "{{ 'x' * 3 ~ '\n' }}end", "{%- if false %}{{ x | nosuchfilter }}{% endif %}ok", "{% set a = b = 1 %}", "{{ n if n is odd else 'even' }}{{ s if s is not string }}",
    "{% macro m(x) %}{% for i in x %}{{ loop.index }}{% endfor %}{% endmacro %}{% for y in list %}{{ m(list) }}{% endfor %}", "{% for x in list %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}",
    "{{ lines.split('\n') | select | list }}", "{% for l in lines.splitlines() %}{{ loop.index }}:{{ l }} {% endfor %}", "{{ d }}{{ d | string | length }}",
]


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def environment():
    env = SandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[
        "jinja2.ext.loopcontrols", "jinja2.ext.do", Generation])

    def raise_exception(message):
        raise jinja2.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                          sort_keys=sort_keys)

    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    env.filters["tojson"] = tojson
    return env


def split_expressions():
    """One expression a line; "a, b" prints a tuple, which also checks repr()."""
    return [line for line in EXPRESSIONS.strip().split("\n") if line]


def main():
    sources = ["{{ %s }}" % e for e in split_expressions()] + TEMPLATES
    cases = []
    for source in sources:
        entry = {"template": source}
        try:
            variables = json.loads(json.dumps(VARIABLES))
            entry["output"] = environment().from_string(source).render(
                bos_token="<s>", eos_token="</s>", **variables)
        except Exception as error:  # whatever it raises, we must refuse too
            entry["error"] = f"{type(error).__name__}: {error}"
        cases.append(entry)
    path = pathlib.Path(__file__).resolve().parents[1] / "data/templates/jinja_cases.json"
    path.write_text(json.dumps({"variables": VARIABLES, "cases": cases}, ensure_ascii=False,
                               indent=0) + "\n")
    print(f"{len(cases)} cases, {sum('error' in c for c in cases)} of them errors", file=sys.stderr)


if __name__ == "__main__":
    main()
