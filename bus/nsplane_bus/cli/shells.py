"""nsplane completion: by what bash, zsh and fish complete, and where they look for it."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import NamedTuple

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

VARIABLE = "_NSPLANE_COMPLETE"
"""By this the command knows that a shell asks, and which."""


class Bash(BashComplete):
    """As click's, but that keys have `:`, `@`, `=` and `;`, which break words for bash: the line is split at spaces, and what
    readline has already of a word is left out of the answer (an `@` begins the next part). What ends with a slash goes on."""

    source_template = r"""
%(complete_func)s() {
    local line=${COMP_LINE:0:COMP_POINT} IFS=$' \t\n' type value word there rest response
    local -a words
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    word=${words[-1]}
    there=${word%%"${word##*[:=]}"}
    rest=${word#"$there"}
    [[ $COMP_WORDBREAKS == *@* && $rest == *@* ]] && there+=${rest%%@*}
    IFS=$'\n'
    response=$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((${#words[@]} - 1)) %(complete_var)s=bash_complete $1)
    COMPREPLY=()
    for completion in $response; do
        IFS=',' read -r type value <<< "$completion"
        if [[ $type == dir ]]; then
            compopt -o dirnames
        elif [[ $type == file ]]; then
            compopt -o default
        else
            printf -v value %%q "$value"
            COMPREPLY+=("${value#"$there"}")
            [[ $value == */ ]] && compopt -o nospace
        fi
    done
    return 0
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class Zsh(ZshComplete):
    """As click's, but that nothing follows what ends with a slash, for it goes on."""

    source_template = r"""
#compdef %(prog_name)s

%(complete_func)s() {
    local -a whole begun described response
    local type key text
    (( ! $+commands[%(prog_name)s] )) && return 1
    response=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) %(complete_var)s=zsh_complete %(prog_name)s)}")
    for type key text in ${response}; do
        case $type in
            dir) _path_files -/ ;;
            file) _path_files -f ;;
            plain)
                if [[ $text != _ ]]; then
                    described+=("$key:$text")
                elif [[ $key == */ ]]; then
                    begun+=("$key")
                else
                    whole+=("$key")
                fi ;;
        esac
    done
    (( $#described )) && _describe -V unsorted described -U
    (( $#begun )) && compadd -U -V unsorted -S '' -a begun
    (( $#whole )) && compadd -U -V unsorted -a whole
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""


class Fish(FishComplete):
    """As click's, but that names may have commas, and that what stands behind the cursor says nothing."""

    source_template = r"""
function %(complete_func)s
    set -l response (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp) COMP_CWORD=(commandline -ct) %(prog_name)s)
    for completion in $response
        set -l parts (string split -m 1 , -- $completion)
        switch $parts[1]
            case dir
                __fish_complete_directories $parts[2]
            case file
                __fish_complete_path $parts[2]
            case '*'
                echo $parts[2]
        end
    end
end

complete --command %(prog_name)s --no-files --arguments '(%(complete_func)s)'
"""


class Shell(NamedTuple):
    """Where a user's own files are: below what a variable names, or else below a folder of the home."""

    script: type[ShellComplete]
    variable: str
    folder: str
    name: str
    start: tuple[str, str] | None = None
    """The file that is read at the start, likewise below what a variable names, or else in the home."""
    read: str = ""
    """The line in it that reads the script; none where the shell does that by itself."""


SHELLS = {
    "bash": Shell(
        Bash,
        *("XDG_DATA_HOME", ".local/share", "bash-completion/completions/nsplane"),
        ("HOME", ".bashrc"),
        "if [ -r {0} ]; then . {0}; fi",
    ),
    "zsh": Shell(
        Zsh,
        *("XDG_DATA_HOME", ".local/share", "zsh/site-functions/_nsplane"),
        ("ZDOTDIR", ".zshrc"),
        "if [ -r {0} ]; then (( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit; }}; . {0}; fi",
    ),
    "fish": Shell(Fish, "XDG_CONFIG_HOME", ".config", "fish/completions/nsplane.fish"),
}


@click.command()
@click.argument("shell", type=click.Choice(tuple(SHELLS)))
@click.option("--install", is_flag=True, help="Write it to a file of the user's own, and have new shells read that.")
@click.pass_context
def completion(context: click.Context, shell: str, install: bool) -> None:
    """Print what a SHELL completes commands, options, keys, labels and states by: `nsplane completion bash --install`."""
    known = SHELLS[shell]
    text = known.script(context.find_root().command, {}, "nsplane", VARIABLE).source().lstrip()
    if not install:
        click.echo(text, nl=False)
        return
    file = Path(os.environ.get(known.variable) or Path.home() / known.folder) / known.name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    reader = begun_by(known, file)
    click.echo(f"{file}{f', read by {reader}' if reader else ''}: new shells complete `nsplane`")


def begun_by(shell: Shell, file: Path) -> Path | None:
    """The file by which a new shell reads this one, with a line for that. It is there once, however often this is done."""
    if shell.start is None:
        return None
    variable, name = shell.start
    reader = Path(os.environ.get(variable) or Path.home()) / name
    line = shell.read.format(shlex.quote(str(file)))
    text = reader.read_text() if reader.exists() else ""
    if line not in text.splitlines():
        begin = "\n" if text and not text.endswith("\n") else ""
        with reader.open("a") as lines:
            lines.write(f"{begin}{line}\n")
    return reader
