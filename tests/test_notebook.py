"""The notebook of the documentation runs, and shows what it shows."""

from pathlib import Path
from typing import Any

import nbclient
import nbformat

NOTEBOOK = Path(__file__).parents[1] / "docs" / "results.ipynb"


def texts(notebook: Any) -> list[list[str]]:
    """What each cell prints and answers; pictures differ by fonts, warnings by versions."""
    return [
        [
            output["text"] if output["output_type"] == "stream" else output["data"]["text/plain"]
            for output in cell.get("outputs", [])
            if output.get("name") != "stderr"
        ]
        for cell in notebook.cells
    ]


def test_it_runs_and_its_outputs_are_those_of_today(tmp_path: Path) -> None:
    stored = nbformat.read(NOTEBOOK, as_version=4)
    fresh = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(fresh, timeout=300, resources=resources).execute()
    assert texts(fresh) == texts(stored)
    assert sum(map(len, texts(stored))) >= 9
    assert (tmp_path / "runs" / "notebook" / "run.json").is_file()


def test_no_output_names_a_machine() -> None:
    text = NOTEBOOK.read_text()
    assert not any(f"/{place}/" in text for place in ("tmp", "home", "root", "work", "Users"))
    assert "stderr" not in text
    assert NOTEBOOK.stat().st_size < 200_000
