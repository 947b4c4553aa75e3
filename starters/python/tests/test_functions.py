import importlib.util
import json
import pathlib
import unittest

ROOT = pathlib.Path(__file__).parent.parent


def load(function):
    spec = importlib.util.spec_from_file_location(function, ROOT / "functions" / function / "app.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.handler


def event(name):
    return json.loads((ROOT / "events" / f"{name}.json").read_text())


class Greet(unittest.TestCase):
    def test_a_name_is_greeted(self):
        answer = load("greet")(event("greet"), None)
        self.assertEqual(answer["statusCode"], 200)
        self.assertEqual(json.loads(answer["body"])["greeting"], "Hello, Ada!")

    def test_a_long_name_is_refused(self):
        long = {"queryStringParameters": {"name": "x" * 101}}
        self.assertEqual(load("greet")(long, None)["statusCode"], 400)


class Feedback(unittest.TestCase):
    def test_a_message_is_taken(self):
        answer = load("feedback")(event("feedback"), None)
        self.assertEqual((answer["statusCode"], json.loads(answer["body"])["length"]), (201, 9))

    def test_a_body_without_a_message_is_refused(self):
        self.assertEqual(load("feedback")({"body": "{}"}, None)["statusCode"], 400)
