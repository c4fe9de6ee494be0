"""Checks ONNX files and runs them: `python check.py FOLDER`, for the test in onnxruntime.rs.

FOLDER holds cases.json: a list of {model, runs: [{image, logits, batch, height, width, channels, classes}]}. `image` and `logits` are files of float32,
[batch, channels, height, width] and [batch, classes, height, width]. Writes FOLDER/found.json: for each case its name, opset, and for each run the
largest difference of a logit, and how many pixels have another label though their two largest logits are not as near as 2e-4.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

folder = Path(sys.argv[1])
found = []
for case in json.loads((folder / "cases.json").read_text()):
    model = onnx.load(folder / case["model"])
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(folder / case["model"], providers=["CPUExecutionProvider"])
    (image,), (output,) = session.get_inputs(), session.get_outputs()
    runs = []
    for run in case["runs"]:
        def read(name, channels):
            values = np.fromfile(folder / run[name], dtype="<f4")
            return values.reshape(run["batch"], run[channels], run["height"], run["width"])

        ours = read("logits", "classes")
        (theirs,) = session.run([output.name], {image.name: read("image", "channels")})
        assert theirs.shape == ours.shape, (theirs.shape, ours.shape)
        largest = np.sort(ours, axis=1)
        decided = largest[:, -1] - largest[:, -2] > 2e-4
        other = decided & (ours.argmax(1) != theirs.argmax(1))
        runs.append(
            {
                "difference": float(np.abs(ours - theirs).max()),
                "other_labels": int(other.sum()),
                "undecided": int((~decided).sum()),
                "largest": float(np.abs(ours).max()),
                "spread": float(ours.std(axis=(0, 2, 3)).max()),
            }
        )
    found.append(
        {
            "model": case["model"],
            "opset": model.opset_import[0].version,
            "input": [image.name, *image.shape],
            "output": [output.name, *output.shape],
            "runs": runs,
        }
    )
(folder / "found.json").write_text(json.dumps(found))
print("onnx", onnx.__version__, "onnxruntime", onnxruntime.__version__)
