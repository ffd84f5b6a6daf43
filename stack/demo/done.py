"""What a demo has done in this home, so that a second start goes on from there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ingestion.whole_files import write_whole
from stack.errors import UserError


class Done:
    """The finished parts of a demo with these options.

    Raises:
        UserError: the home was filled with other options.
    """

    def __init__(self, path: Path, options: dict[str, Any]) -> None:
        self._path = path
        self._options = options
        self.parts: list[str] = []
        if path.exists():
            before = json.loads(path.read_text())
            if before["options"] != options:
                changed = [name for name in options if before["options"].get(name) != options[name]]
                raise UserError(
                    f"This demo ran with another {', '.join(changed)} before: "
                    "`make clean` deletes its data, TIDELINE_HOME names another folder."
                )
            self.parts = before["parts"]

    def add(self, part: str) -> None:
        """Note that a part is finished."""
        self.parts.append(part)
        write_whole(self._path, json.dumps({"options": self._options, "parts": self.parts}) + "\n")
