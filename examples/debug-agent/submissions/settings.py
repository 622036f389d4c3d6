"""Reads settings and tidies up behind itself. It forgot an import."""

import os

with open("settings.json", "w") as file:
    file.write('{"colour": "blue"}')
with open("settings.json") as file:
    settings = json.load(file)
os.remove("settings.json")
print("colour:", settings["colour"])
