"""Rules of the code that a reader can rely on, checked on the syntax trees."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'okdhp_mm'
MODULES = sorted(PACKAGE.rglob('*.py'))
COMMANDS = sorted((PACKAGE / 'commands').glob('*.py'))
TOOLS = sorted((ROOT / 'tools').glob('*.py'))
CONFIGS = sorted((ROOT / 'configs').rglob('*.py'))
ROOMS = ('backbones', 'heads', 'aggregators', 'losses', 'distillers', 'teachers')
# From the lowest to the highest; the entries of a row do not import each other.
LAYERS = (
    ('errors', 'keypoint_names', 'parser', 'registry', 'structures', 'version'),
    ('datasets', 'env', 'io', 'visualization'),
    ('models',),
    ('engine',),
    ('evaluation',),
    ('data',),
    ('student',),
    ('deploy', 'report', 'terminal'),
    ('recipes',),
    ('cli', 'compare', 'demo', 'video'),
    ('commands',),
    ('__main__',),
)
LEVELS = {name: level for level, row in enumerate(LAYERS) for name in row}
STANDALONE = ('__init__',)
WORDS_OF_WIRING = {'setattr', 'vars', 'eval', 'exec'}


def name_of(file):
    return str(file.relative_to(ROOT))


def wiring(tree):
    """Calls that reach attributes by names made up at run time."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in WORDS_OF_WIRING:
                yield f'line {node.lineno}: {node.func.id}'
            if node.func.id == 'getattr' and isinstance(node.args[1], (ast.JoinedStr, ast.BinOp)):
                yield f'line {node.lineno}: getattr of a made-up name'


def imported(file):
    """Full names of the modules that a file imports, relative ones resolved."""
    package = file.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = '.'.join([*base, *filter(None, [node.module])])
            yield module
            yield from (f'{module}.{alias.name}' for alias in node.names)


@pytest.mark.parametrize(
    'code', ["setattr(x, 'y', 1)", 'vars(x)', "getattr(x, f'layer{i}')", "getattr(x, 'a' + b)"]
)
def test_the_rule_about_wiring_sees_wiring(code):
    assert list(wiring(ast.parse(code)))


@pytest.mark.parametrize('file', MODULES, ids=name_of)
def test_nothing_is_wired_by_made_up_names(file):
    assert list(wiring(ast.parse(file.read_text()))) == []


@pytest.mark.parametrize('room', ROOMS)
def test_siblings_never_import_siblings(room):
    others = tuple(f'okdhp_mm.models.{other}' for other in ROOMS if other != room)
    # Adapters know stock heads only; whatever reads a stock head uses them.
    shared = 'okdhp_mm.models.heads.adapters'
    files = list((PACKAGE / 'models' / room).rglob('*.py'))
    assert files
    found = {(name_of(file), name) for file in files for name in imported(file)}
    assert {
        entry for entry in found if entry[1].startswith(others) and not entry[1].startswith(shared)
    } == set()
    assert any(name.startswith('okdhp_mm.') for _, name in found), 'imports are resolved'


def part_of(file):
    """The folder or module of the package that a file belongs to."""
    return file.relative_to(PACKAGE).parts[0].removesuffix('.py')


@pytest.mark.parametrize('folder', sorted({file.parent for file in MODULES}), ids=name_of)
def test_every_folder_is_a_package(folder):
    assert (folder / '__init__.py').is_file(), 'a wheel leaves out a folder without __init__.py'


def test_every_part_of_the_package_has_a_layer():
    parts = {part_of(file) for file in MODULES}
    assert parts == set(LEVELS) | set(STANDALONE)


@pytest.mark.parametrize('file', MODULES, ids=name_of)
def test_imports_go_down(file):
    part = part_of(file)
    if part in STANDALONE:
        return
    others = {name.split('.')[1] for name in imported(file) if name.startswith('okdhp_mm.')}
    for other in (others & set(LEVELS)) - {part}:
        assert LEVELS[other] < LEVELS[part], f'{name_of(file)} imports {other}'


@pytest.mark.parametrize(
    'file', [f for f in MODULES if part_of(f) not in ('commands', 'cli')], ids=name_of
)
def test_only_commands_know_the_command_line(file):
    assert [name for name in imported(file) if name.startswith('okdhp_mm.cli')] == []


def test_only_its_command_knows_the_demo():
    for file in MODULES:
        if (PACKAGE / 'demo') not in file.parents and file != PACKAGE / 'commands' / 'demo.py':
            assert [n for n in imported(file) if n.startswith('okdhp_mm.demo')] == [], name_of(file)


@pytest.mark.parametrize('file', COMMANDS, ids=name_of)
def test_a_command_parses_and_calls(file):
    assert len(file.read_text().splitlines()) <= 90
    modules = {name.split('.')[0] for name in imported(file)}
    assert not modules & {'torch', 'numpy', 'cv2'}, 'no tensor maths in a command'


@pytest.mark.parametrize('file', TOOLS, ids=name_of)
def test_a_tool_runs_a_command(file):
    assert len(file.read_text().splitlines()) <= 8
    assert set(imported(file)) == {
        *('sys', 'okdhp_mm.commands', 'okdhp_mm.commands.run_command'),
    }


@pytest.mark.parametrize(
    # The demo brings a network, a codec and a data set of its own instead of a stock one's.
    'file',
    [file for file in CONFIGS if file.stem != 'demo' and '_base_' not in file.parts],
    ids=name_of,
)
def test_a_leaf_config_is_short(file):
    assert len(file.read_text().splitlines()) <= 30


@pytest.mark.parametrize('file', MODULES, ids=name_of)
def test_no_path_of_a_machine_is_in_the_package(file):
    assert '/work/' not in file.read_text()
    assert '/home/' not in file.read_text()
