"""Touchstone's door: settings -> workspace -> page -> serve; every verb of the product is also a command here."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from engine.errors import TouchstoneError
from engine.settings import Settings, go_quiet

if TYPE_CHECKING:
    from engine.workspace import Workspace

MODES = ("closed", "grounded")
MODE_HELP = "closed: nothing but the question (default); grounded: the best clauses stand in the prompt"
PRESETS = ("quick", "balanced", "thorough", "qv-16", "rank-64", "rank-256")
FORMATS = ("chat", "prompt", "alpaca", "openai", "hf", "csv")
TASKS = ("policy_qa", "leave_decision", "exit_advisor", "expert_match", "email_intel")
Verb = Callable[[str, str], argparse.ArgumentParser]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, or serve the page when none is named. 0: done; 2: the input was wrong; 1: our bug, with a traceback."""
    go_quiet()
    options = parser().parse_args(arguments)
    settings = Settings.read(workspace=options.workspace)
    if options.verb == "setup" and _is_set_up(
        settings
    ):  # `make run` asks each time, and a workspace takes a second to import
        if options.json:
            print(json.dumps({"models": str(settings.models)}))
        return 0
    from engine.workspace import Workspace

    try:
        workspace = Workspace.open(settings)
        try:
            if options.verb is None:
                # Each server empties this folder when it starts: two that shared one would lose each other's uploads.
                os.environ.setdefault("GRADIO_TEMP_DIR", str(settings.workspace.resolve() / "uploads"))
                from ui import shell

                shell.serve(workspace, host=options.host, port=options.port)
                return 0
            return _run(workspace, options)
        finally:
            workspace.close()
    except TouchstoneError as problem:
        print(problem, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 2


def _is_set_up(settings: Settings) -> bool:
    from engine.embedded import is_ready

    return is_ready(settings.models)


def parser() -> argparse.ArgumentParser:
    """The command line, as the contract fixes it."""
    everywhere = _everywhere()
    top = argparse.ArgumentParser(
        prog="app.py",
        description="Tune a small language model on your policies and prove it blind.",
        parents=[
            _everywhere()
        ],  # one of its own: its defaults must not reach the commands, which would overwrite what it read
    )
    top.set_defaults(workspace=None, json=False)
    top.add_argument("--host", default="127.0.0.1", help="address to listen on")
    top.add_argument("--port", type=int, default=7860, help="port to listen on")
    verbs = top.add_subparsers(dest="verb", metavar="command")

    def verb(name: str, help: str) -> argparse.ArgumentParser:
        return verbs.add_parser(name, help=help, description=help, parents=[everywhere])

    verb("setup", "convert the embedded model once")
    _arguments_of_data(verb)
    _arguments_of_training(verb)
    _arguments_of_answers(verb)
    _arguments_of_votes(verb)
    _arguments_of_the_registry(verb)
    return top


def _everywhere() -> argparse.ArgumentParser:
    """What may stand before a command or after it."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument(
        "--workspace", default=argparse.SUPPRESS, help="folder with everything people made (default workspace/)"
    )
    options.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="one JSON object as the last line of stdout"
    )
    return options


def _arguments_of_data(verb: Verb) -> None:
    demo = verb("demo", "the whole loop on the sample policy, without the page")
    demo.add_argument("--quick", action="store_true", help="a few minutes instead of under thirty")
    demo.add_argument("--task", default="policy_qa", choices=TASKS)
    generate = verb("generate", "documents to a gated, split dataset version")
    generate.add_argument("--task", default="policy_qa", choices=TASKS)
    generate.add_argument("--dataset", required=True, help="name of the dataset")
    generate.add_argument("--seed", type=int, default=0)
    generate.add_argument(
        "--teacher",
        default="",
        metavar="MODEL",
        help='who writes the questions: a model, named as in answer --model, or "writer" where its two adapters are built',
    )
    generate.add_argument(
        "--judge", default="", metavar="MODEL", help="a model that checks rows; it gates once it passed an exam"
    )
    generate.add_argument("--price-in", type=float, metavar="P", help="price of a million tokens the teacher reads")
    generate.add_argument("--price-out", type=float, metavar="P", help="price of a million tokens the teacher writes")
    generate.add_argument("--mask", action="store_true", help="replace contact details and other personal data first")
    generate.add_argument("files", nargs="+", metavar="FILES", help="documents, folders of documents, zip archives")
    update = verb("update", "the next dataset version, from a new edition of some of its documents")
    update.add_argument("--dataset", required=True, help="NAME or NAME:NUMBER")
    update.add_argument("--seed", type=int, default=0)
    update.add_argument("--mask", action="store_true", help="replace contact details and other personal data first")
    update.add_argument("files", nargs="+", metavar="NEWFILES", help="new editions; documents not named stay")
    for making in (generate, update):
        making.add_argument(
            "--apart-from",
            action="append",
            metavar="F.jsonl",
            help="keep training rows apart from the questions of this file; may be given several times",
        )
    compare = verb("compare", "rows and facts in which two dataset versions differ")
    compare.add_argument("old", metavar="OLD", help="NAME:NUMBER")
    compare.add_argument("new", metavar="NEW", help="NAME:NUMBER")
    following = verb("next", "the next dataset version, with the votes and labels given since")
    following.add_argument("--dataset", required=True, help="NAME or NAME:NUMBER")


def _arguments_of_training(verb: Verb) -> None:
    train = verb("train", "fine-tune an adapter on a dataset version")
    train.add_argument("--dataset", required=True, help="NAME or NAME:NUMBER")
    train.add_argument("--adapter", required=True, help="name of the adapter to make")
    train.add_argument("--base", default="base", help="base (embedded), or a Hugging Face id or folder")
    train.add_argument("--preset", default="balanced", choices=PRESETS)
    train.add_argument(
        "--method",
        default="sft",
        choices=("sft", "dpo", "kto"),
        help="sft: from the dataset's rows; dpo, kto: from votes, going on from the adapter voted on (40 decided votes or more)",
    )
    train.add_argument("--mode", default="closed", choices=MODES, help=MODE_HELP)
    train.add_argument(
        "--from",
        dest="parent",
        metavar="ADAPTER",
        help="go on from it: teach it what is new, in a third of the steps; with dpo and kto: the adapter voted on",
    )
    train.add_argument("--seed", type=int, default=0)
    train.add_argument(
        "--launcher",
        default="local",
        choices=("local", "accelerate", "ray"),
        help="who starts its processes: local: one here; accelerate, ray: several (docs/past-one-machine.md)",
    )
    train.add_argument("--accelerate-config", default="", metavar="FILE", help="default: accelerate's own default file")
    train.add_argument("--workers", type=int, default=1, help="processes on the Ray cluster")
    train.add_argument("--max-steps", type=int, help="stop after so many steps, whatever the preset says")
    train.add_argument(
        "--estimate", action="store_true", help="say what it will take, from a few timed steps; start nothing"
    )
    train.add_argument(
        "--trial", action="store_true", help="stop after a tenth of the steps, show samples, ask whether to go on"
    )
    train.add_argument(
        "--no-probe", action="store_true", help="ask no held-out questions on the way; keep the last step"
    )
    train.add_argument("--no-general-probe", action="store_true", help="ask no everyday questions before and after")
    train.add_argument("--four-bit", action="store_true", help="the frozen base in NF4 (a CUDA GPU only)")
    train.add_argument("--gradient-checkpointing", action="store_true", help="less memory, a third more time")


def _arguments_of_answers(verb: Verb) -> None:
    answer = verb("answer", "one answer row for each question row")
    answer.add_argument(
        "--model", required=True, help="base, an adapter, ollama:TAG, openai:NAME@URL, a Hugging Face id or folder"
    )
    answer.add_argument("--in", dest="source", required=True, metavar="F.jsonl")
    answer.add_argument("--out", required=True, metavar="G.jsonl")
    evaluate = verb("evaluate", "the measured comparison of models on a question file")
    evaluate.add_argument(
        "--models", required=True, help="names, separated by commas; the others are compared with the first"
    )
    asked_of = evaluate.add_mutually_exclusive_group(required=True)
    asked_of.add_argument("--questions", metavar="F.jsonl")
    asked_of.add_argument("--dataset", metavar="NAME", help="its held-out rows; NAME or NAME:NUMBER")
    evaluate.add_argument("--out", metavar="report.json", help="the whole report as data")
    evaluate.add_argument("--html", metavar="report.html", help="the report to read and pass on: one file, no script")
    evaluate.add_argument(
        "--judge", default="", metavar="MODEL", help="a model that compares the answers too; the rules do not hear it"
    )
    for asked in (answer, evaluate):
        asked.add_argument("--task", default="policy_qa", choices=TASKS)
        asked.add_argument("--mode", default="closed", choices=MODES, help=MODE_HELP)
        asked.add_argument("--anew", action="store_true", help="ask again what was answered before")
    study = verb(
        "study", "recipes side by side: policies × recipes × budgets × seeds, each trained and asked its gold questions"
    )
    study.add_argument("plan", metavar="PLAN.json", help="what to compare; README shows one")


def _arguments_of_votes(verb: Verb) -> None:
    board = verb("leaderboard", "ranking from the votes, with intervals")
    board.add_argument("--task", default="policy_qa", choices=TASKS)
    board.add_argument(
        "--votes", metavar="F.csv", help="rank the votes of a file instead: two models, winner, rater, question"
    )
    queue = verb("queue", "review queues: questions answered in advance, dealt to raters for blind votes")
    queue.add_argument("action", nargs="?", default="list", choices=("list", "add", "show", "discard"))
    queue.add_argument("name", nargs="?")
    queue.add_argument("--questions", metavar="F", help="a .jsonl file, or a text file with a question a line")
    queue.add_argument("--dataset", help="held-out questions of NAME or NAME:NUMBER (default: the newest)")
    queue.add_argument("--models", help="two names, separated by a comma (default: base and the newest adapter)")
    queue.add_argument("--overlap", type=int, default=2, help="raters per question (default 2); 0: all of them")
    queue.add_argument("--mode", default="closed", choices=MODES, help=MODE_HELP)
    export = verb("export", "votes and labels as training data")
    export.add_argument(
        "--what",
        default="sft",
        choices=("sft", "dpo", "kto", "raw"),
        help="sft: a dataset version's rows; votes as dpo: pairs, kto: single answers, raw: everything as it was given",
    )
    export.add_argument(
        "--votes", action="store_true", help="with sft: only the answers that won a vote, or their repairs"
    )
    export.add_argument("--task", default="policy_qa", choices=TASKS)
    export.add_argument("--dataset", help="NAME or NAME:NUMBER (default: the newest)")
    export.add_argument("--out", required=True, metavar="F.jsonl")
    export.add_argument(
        "--format", choices=FORMATS, help="for other trainers (default: chat lines and, between them, bare statements)"
    )
    export.add_argument("--split", default="all", choices=("train", "probe", "test", "all"))
    taken = verb("import", "rows from files of any export format to a new dataset version")
    taken.add_argument("--dataset", required=True, help="name of the dataset")
    taken.add_argument("--task", default="policy_qa", choices=TASKS)
    taken.add_argument("--format", choices=FORMATS, help="default: told by the content")
    taken.add_argument(
        "--normalise-labels", action="store_true", help="write an answer's spellings as the most frequent one"
    )
    taken.add_argument("files", nargs="+", metavar="FILE", help="files, or folders saved by Hugging Face datasets")


def _arguments_of_the_registry(verb: Verb) -> None:
    jobs = verb("jobs", "what is running, and what ran")
    jobs.add_argument("action", nargs="?", default="list", choices=("list", "show", "stop", "resume"))
    jobs.add_argument("id", nargs="?")
    promote = verb("promote", "make a model live, if the gate says so")
    promote.add_argument("model")
    promote.add_argument("--reason", default="", help="kept beside the gate's verdict")
    promote.add_argument("--override", default="", metavar="WHY", help="make it live although the gate does not say so")
    gate = verb("gate", "what the gate says of a model in the place of the live one, and its rules")
    gate.add_argument("model", nargs="?", help="default: every adapter")
    rollback = verb("rollback", "go back to what was live before")
    deploy = verb("deploy", "hand an adapter on as files")
    deploy.add_argument("adapter")
    deploy.add_argument("--to", default="dir", choices=("dir", "gguf"))
    deploy.add_argument("--out", help="where to write")
    refusals = verb("refusals", "when an adapter refuses, by held-out questions; sets how many it must")
    refusals.add_argument("adapter")
    setting = refusals.add_mutually_exclusive_group()
    setting.add_argument(
        "--least-refused", type=float, metavar="SHARE", help="of the questions without an answer, such as 0.95"
    )
    setting.add_argument("--default", action="store_true", help="as the task says")
    ledger = verb("ledger", "what an adapter knows, fact by fact, and further forms for what it has not learned")
    ledger.add_argument("adapter")
    ledger.add_argument("--before", metavar="ADAPTER", help="compare with it (default: the one before)")
    ledger.add_argument("--anew", action="store_true", help="ask again what was answered before")
    ledger.add_argument(
        "--forms",
        choices=("show", "add"),
        help="further forms for facts not learned: show them, or make the next version",
    )
    ledger.add_argument(
        "--teacher", default="", metavar="MODEL", help="who words these forms, as in generate --teacher"
    )
    divergence = verb("divergence", "where an adapter's next token is far from its base's, token by token")
    divergence.add_argument("adapter")
    divergence.add_argument(
        "--questions", metavar="F.jsonl", help="of this file (default: held-out questions, and everyday ones)"
    )
    divergence.add_argument("--plain", action="store_true", help="ask that file without the task's instructions")
    divergence.add_argument("--limit", type=int, default=12, metavar="N", help="questions a slice, or of the file (12)")
    divergence.add_argument(
        "--served", action="store_true", help="as llama.cpp serves both; top-k only, so at least so much"
    )
    for asked in (promote, gate, rollback, deploy, divergence):
        asked.add_argument("--task", default="policy_qa", choices=TASKS)
    verb("doctor", "what this machine has and lacks")


def _run(workspace: "Workspace", options: argparse.Namespace) -> int:
    from ui import commands, diverged, known, leaderboard, queue, refusals, study, train, verdicts, versions
    from ui.terminal import Screen

    named = {
        "evaluate": verdicts.evaluate_models,
        "promote": verdicts.promote,
        "gate": verdicts.gate,
        "leaderboard": leaderboard.show_leaderboard,
        "next": commands.next_dataset,
        "update": versions.update_dataset,
        "compare": versions.compare_versions,
        "study": study.study,
        "train": train.train,
        "jobs": commands.jobs_command,
        "import": commands.import_rows,
        "refusals": refusals.refusals,
        "queue": queue.queue_command,
        "ledger": known.ledger,
        "divergence": diverged.diverge,
    }
    screen = Screen(as_json=options.json)
    if options.verb == "demo":
        from ui.demo import run_demo

        screen.result(run_demo(workspace, options, screen))
        return 0
    if options.verb == "doctor":
        from ui.doctor import examine

        screen.result(examine(workspace, screen))
        return 0
    command = named.get(options.verb) or getattr(commands, options.verb)
    screen.result(command(workspace, options, screen))
    return 0


if __name__ == "__main__":
    sys.exit(main())
