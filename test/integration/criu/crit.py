"""What crit shows of the images in a directory, as one JSON object, and whether crit writes each as it was."""
import io
import json
import os
import sys

import pycriu.images as images

MAGICS = [images.magic.by_name[name].to_bytes(4, "little") for name in ("IMG_COMMON", "IMG_SERVICE", "INVENTORY")]


def show(data):
    try:
        decoded = images.loads(data)
        text = json.dumps(decoded)
        encoded = io.BytesIO()
        images.dump(json.loads(text), encoded)
    except Exception as error:
        return {"problem": f"{type(error).__name__}: {error}"}
    return {**decoded, "same": encoded.getvalue() == data}


shown = {}
for name in sorted(os.listdir(sys.argv[1])):
    with open(os.path.join(sys.argv[1], name), "rb") as file:
        data = file.read(4)
        if data in MAGICS:
            shown[name] = show(data + file.read())
print(json.dumps(shown))
