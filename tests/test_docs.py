"""Links in the documentation resolve, its commands parse, and its Python compiles."""

import argparse
import ast
import importlib
import itertools
import re
import shlex
from functools import cache
from pathlib import Path

import pytest
from mmengine.config import Config

import okdhp_mm
from okdhp_mm.commands import COMMANDS, reference

ROOT = Path(__file__).parents[1]
DOCS = ROOT / 'docs'
PAGES = [*ROOT.glob('*.md'), *DOCS.rglob('*.md')]
LINK = re.compile(r'\]\(([^)\s]+)\)|<img src="([^"]+)"')
FENCED = re.compile(r'^ *```(\w*)\n(.*?)^ *```', re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r'(?:^ {4}.*\n)+', re.MULTILINE)
PLACEHOLDERS = {'N': '1', '"$DATA"': 'a=1', '$DATA': 'a=1'}
INLINE = re.compile(r'`([^`\n]+)`')
COMMAND = re.compile(r'(?:^|\s)(?:\S*python[\d.]*\s|make\s|torchrun\s|tools/\w+\.(?:py|sh)\s)')
SCRIPT = re.compile(r'(?:tools|benchmarks)/[\w/]+(?:\.py|\.sh)?')
IN_REPOSITORY = re.compile(r'(?:configs|tools|benchmarks|tests)/[\w{},/.]+')


def name_of(file):
    return str(file.relative_to(ROOT))


def without_code(page):
    return FENCED.sub('', page.read_text())


@cache
def anchors(page):
    """Anchors of the headings, as GitHub and MkDocs make them."""
    headings = re.findall(r'^#+ (.+)$', without_code(page), re.MULTILINE)
    plain = [re.sub(r'\[(.*?)\]\(.*?\)', r'\1', heading) for heading in headings]
    return {re.sub(r'[^\w\- ]', '', heading).strip().lower().replace(' ', '-') for heading in plain}


def broken_links(page):
    for link in filter(None, itertools.chain(*LINK.findall(without_code(page)))):
        if re.match(r'\w+:', link):
            continue
        file, _, anchor = link.partition('#')
        target = (page.parent / file).resolve() if file else page
        if not target.exists():
            yield f'{link}: the file does not exist'
        elif DOCS in page.parents and DOCS not in target.parents:
            yield f'{link}: the site has files of docs/ only; write the path as code'
        elif anchor and anchor not in anchors(target):
            yield f'{link}: {name_of(target)} does not have this heading'


def commands(page, inline=True):
    """Command lines in code blocks and, if wanted, in inline code."""
    prose = without_code(page)
    blocks = [code for language, code in FENCED.findall(page.read_text()) if language != 'python']
    named = INLINE.findall(prose) if inline else []
    code = '\n'.join([*blocks, *INDENTED.findall(prose), *named])
    for line in re.sub(r'\\\n', ' ', code).splitlines():
        line = re.sub(r'\s#\s.*', '', line).strip()
        if COMMAND.search(f'{line} ') and '`' not in line:  # not in a sentence of a help text
            yield line


def command_file(name):
    """Return the file of a command of the package; one that does not exist for a wrong name."""
    if name not in COMMANDS:
        return ROOT / 'okdhp_mm' / 'commands' / f'{name}.py'
    return ROOT / f'{COMMANDS[name].module.replace(".", "/")}.py'


def script_of(words):
    """Return the script that a command runs, and its arguments."""
    for place, word in enumerate(words):
        if word == '-m' and words[place + 1] == 'okdhp_mm':
            name = ''.join(words[place + 2 : place + 3])
            if not name or name.isupper():  # a placeholder
                return ROOT / 'okdhp_mm' / '__main__.py', []
            return command_file(name), words[place + 3 :]
        if word == '-m' and words[place + 1].startswith('okdhp_mm'):
            module = ROOT / words[place + 1].replace('.', '/')
            return module / '__main__.py' if module.is_dir() else module.with_suffix('.py'), []
        if SCRIPT.fullmatch(word):
            script = ROOT / word
            return script / '__main__.py' if script.is_dir() else script, words[place + 1 :]
    return None, []


def command_of(script):
    """Return the command of the package that a script runs, or None."""
    for name in COMMANDS:
        if script == command_file(name):
            return name
    found = re.search(r"run_command\('([\w-]+)'", script.read_text())
    return found[1] if found else None


class _StoppedError(Exception):
    """Ends a command at its parser."""


def parser_of(command, arguments=None):
    """Return the parser of a command, which has accepted the arguments. The command does not run.

    Without arguments, nothing is parsed.
    """
    original = argparse.ArgumentParser.parse_args

    def stop(self, args=None, namespace=None):
        if arguments is not None:
            original(self, args, namespace)
        raise _StoppedError(self)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(argparse.ArgumentParser, 'parse_args', stop)
        with pytest.raises(_StoppedError) as stopped:
            importlib.import_module(COMMANDS[command].module).main(arguments or [])
    return stopped.value.args[0]


@cache
def declared(script):
    """Options of a command's parser, or of a benchmark and the files in its folder."""
    if command := command_of(script):
        return set(parser_of(command)._option_string_actions)
    folders = ROOT / 'okdhp_mm' / 'cli', script.with_suffix('')
    files = [script, *(file for folder in folders for file in folder.glob('*.py'))]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    values = [arg.value for call in calls for arg in call.args if isinstance(arg, ast.Constant)]
    return {value for value in values if isinstance(value, str) and value.startswith('-')}


def alternatives(path):
    """Return the paths that a shell makes of braces."""
    parts = [part.split(',') for part in re.split(r'[{}]', path)]
    return [''.join(choice) for choice in itertools.product(*parts)]


def mistakes(line):
    words = line.replace("'", ' ').replace('"', ' ').replace('[', ' ').replace(']', ' ').split()
    if 'make' in words:
        targets = re.findall(r'^([\w-]+):', (ROOT / 'Makefile').read_text(), re.MULTILINE)
        words_after = words[words.index('make') + 1 :]
        named = [word for word in words_after if re.fullmatch(r'[a-z-]+', word)]
        yield from (f'make {word}' for word in named if word not in targets)
    for word in filter(IN_REPOSITORY.fullmatch, words):
        if not re.search('[A-Z]{3}', word):  # a placeholder
            yield from (path for path in alternatives(word) if not (ROOT / path).exists())
    script, arguments = script_of(words)
    if script is None or script.suffix == '.sh':
        return
    if not script.exists():
        yield f'{name_of(script)} does not exist'
        return
    for option in arguments:
        if re.match('--?[a-z]', option) and option.partition('=')[0] not in declared(script):
            yield f'{name_of(script)} does not have {option}'


@pytest.mark.parametrize('page', PAGES, ids=name_of)
def test_links_resolve(page):
    assert list(broken_links(page)) == []


@pytest.mark.parametrize('page', PAGES, ids=name_of)
def test_commands_exist(page):
    assert {line: found for line in commands(page) if (found := list(mistakes(line)))} == {}


def parse(line):
    """Parse a command line with the real parser of its command, if it is complete."""
    script, arguments = script_of(shlex.split(line.partition(' > ')[0]))
    command = script and script.suffix == '.py' and command_of(script)
    if command and '...' not in arguments:
        parser_of(command, [PLACEHOLDERS.get(word, word) for word in arguments])


@pytest.mark.parametrize('page', PAGES, ids=name_of)
def test_commands_are_accepted_by_their_parsers(page):
    for line in commands(page, inline=False):
        try:
            parse(line)
        except SystemExit:
            pytest.fail(f'the parser refuses: {line}')


def test_a_wrong_argument_is_noticed():
    for line in ('python tools/train.py', 'python tools/infer.py a --student b --batch many'):
        with pytest.raises(SystemExit):
            parse(line)


@pytest.mark.parametrize('page', PAGES, ids=name_of)
def test_python_compiles_and_configs_load(page):
    for language, code in FENCED.findall(page.read_text()):
        if language != 'python':
            continue
        compile(code, name_of(page), 'exec')
        if re.search(r"^_base_ = 'mmpose::", code, re.MULTILINE):
            assert Config.fromstring(re.sub('^custom_imports.*', '', code, flags=re.M), '.py').model


def test_the_example_of_the_tracker_runs():
    (code,) = [
        code for _, code in FENCED.findall((DOCS / 'video.md').read_text()) if 'PoseT' in code
    ]
    exec(compile(code, 'video.md', 'exec'), {})


def test_the_page_on_the_api_names_all_of_it():
    page = (DOCS / 'reference' / 'api.md').read_text()
    names = set(okdhp_mm.__all__) - {'__version__'}
    assert all(hasattr(okdhp_mm, name) for name in names)
    assert {name for name in names if not re.search(rf'\b{name}\b', page)} == set()


def test_the_page_on_the_command_line_is_current():
    """`python -m okdhp_mm.commands.reference > docs/reference/cli.md` writes it."""
    assert (DOCS / 'reference' / 'cli.md').read_text() == f'{reference.page()}\n'


def test_the_page_on_config_keys_names_every_registered_class():
    internal = re.compile('Split$|Adapter$|Decoder$|^BranchedBackbone$|^MultiBranchHead$|Results$')
    page = (DOCS / 'reference' / 'config.md').read_text()
    for file in (ROOT / 'okdhp_mm').rglob('*.py'):
        for name in re.findall(r'\.register_module\(\)\n(?:@.*\n)*class (\w+)', file.read_text()):
            assert internal.search(name) or re.search(rf'\b{name}\b', page), name


@pytest.mark.parametrize(
    'line',
    [
        'make everything',
        'python tools/teleport.py CONFIG',
        'python tools/train.py configs/okdhp/resnet18_mars.py',
        'python tools/train.py configs/okdhp/{resnet18,vgg}_mpii.py',
        'PYTHONPATH=. python tools/train.py CONFIG --methods dml',
        'python benchmarks/gain.py --dta DIR',
        'python -m okdhp_mm.docter',
        'python -m okdhp_mm trian CONFIG',
        'python -m okdhp_mm train CONFIG --methods dml',
    ],
)
def test_a_wrong_command_is_noticed(line):
    assert COMMAND.search(line)
    assert list(mistakes(line))


def test_the_site_shows_every_page():
    shown = re.findall(r'^ +- .*: (\S+\.md)$', (ROOT / 'mkdocs.yml').read_text(), re.MULTILINE)
    assert sorted(shown) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob('*.md'))


def test_the_first_screen_shows_the_two_commands():
    """The mission demands `make demo` and `make test` on README's first screen."""
    lines = (ROOT / 'README.md').read_text().splitlines()
    assert len(lines) <= 100
    for command in ('make demo', 'make test'):
        assert any(line.startswith(command) for line in lines[:40])
