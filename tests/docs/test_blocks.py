"""Blocks and commands are read as a reader takes them."""

import pytest

from tests.docs.blocks import Block, Command, blocks, commands

TEXT = """\
Text `$ no command`.

```console
$ isoflop plan experiment=demo   # the grid
prints this
$ isoflop sweep \\
      experiment=demo
```

- a list
  ```bash
  # not typed
  make demo
  ```

```yaml
# configs/experiment/mine.yaml, where you are
# @package _global_
name: mine
```
~~~python
print("```")
~~~
"""


def test_every_block_is_found_where_it_stands() -> None:
    found = list(blocks("x.md", TEXT))
    assert [(block.at, block.language) for block in found] == [
        ("x.md:4", "console"),
        ("x.md:12", "bash"),
        ("x.md:17", "yaml"),
        ("x.md:22", "python"),
    ]
    assert found[3].text == 'print("```")\n'
    assert [block.names for block in found] == ["", "", "configs/experiment/mine.yaml", ""]


def test_what_is_typed_is_told_from_what_is_printed() -> None:
    console, bash, *others = blocks("x.md", TEXT)
    assert list(commands(console)) == [
        Command("x.md:4", "isoflop plan experiment=demo   # the grid"),
        Command("x.md:6", "isoflop sweep experiment=demo"),
    ]
    assert list(commands(bash)) == [Command("x.md:13", "make demo")]
    assert not [command for block in others for command in commands(block)]


def test_an_excerpt_is_no_file_and_a_block_must_end() -> None:
    assert Block("x.md", 1, "yaml", "a: 1  # configs/a.yaml\n").names == ""
    with pytest.raises(ValueError, match=r"x\.md:1: this block is not closed"):
        list(blocks("x.md", "```console\n$ isoflop"))
