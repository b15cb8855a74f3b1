"""The text of an INSERT is told from its data, whatever bytes the data has."""

import unittest

from clickhouse.statement import Insert, kind, quote, quote_name, result_format, split_insert


class Inserts(unittest.TestCase):
    def test_data_begins_behind_the_format_or_values(self) -> None:
        cases = [
            (b"INSERT INTO t FORMAT TSV\n1\n\n2\n", Insert("INSERT INTO t", "", "TSV"), b"1\n\n2\n"),
            (b"insert into db.t format RowBinary\n\n\x00;\n", Insert("insert into db.t", "", "RowBinary"), b"\n\x00;\n"),
            (b"INSERT INTO `d b`.`t`(`a`, `b)`) FORMAT Native", Insert("INSERT INTO `d b`.`t`(`a`, `b)`)", "", "Native"), b""),
            (b"INSERT INTO t (a) VALUES (1),(';\n')", Insert("INSERT INTO t (a)", "", "Values"), b"(1),(';\n')"),
            (b"INSERT INTO t VALUES(1)", Insert("INSERT INTO t", "", "Values"), b"(1)"),
            (
                b"INSERT INTO t SETTINGS a=1, b='x FORMAT y' FORMAT JSONEachRow {\"a\":1}",
                Insert("INSERT INTO t", "SETTINGS a=1, b='x FORMAT y'", "JSONEachRow"),
                b'{"a":1}',
            ),
            (b"-- a comment\n/* b */ INSERT INTO t FORMAT CSV\r\n1", Insert("-- a comment\n/* b */ INSERT INTO t", "", "CSV"), b"1"),
            ("INSERT INTO täble (ä) FORMAT CSV\nä".encode(), Insert("INSERT INTO täble (ä)", "", "CSV"), "ä".encode()),
        ]
        for text, insert, data in cases:
            with self.subTest(text):
                self.assertEqual(split_insert(text), (insert, data))

    def test_what_has_no_data_beside_it_is_not_split(self) -> None:
        for text in (
            b"SELECT 1 FORMAT TSV\n",
            b"INSERT INTO t SELECT * FROM values('a Int8', 1) FORMAT TSV",
            b"INSERT INTO t SELECT 'VALUES (1)'",
            b"INSERT INTO FUNCTION file('x.csv') SELECT 1",
            b"",
        ):
            with self.subTest(text):
                self.assertIsNone(split_insert(text))

    def test_a_long_body_is_not_searched(self) -> None:
        data = b"\n" * 50_000_000
        self.assertEqual(split_insert(b"INSERT INTO t FORMAT RowBinary\n" + data), (Insert("INSERT INTO t", "", "RowBinary"), data))
        self.assertIsNone(split_insert(b"INSERT INTO t SETTINGS " + b"a" * 50_000_000))


class Kinds(unittest.TestCase):
    def test_comments_and_brackets_before_the_first_word_are_passed(self) -> None:
        for sql, word in (("-- x\n /* y */ ((SELECT 1))", "select"), ("  WITH 1 AS a SELECT a", "with"), ("", ""), ("1", "")):
            self.assertEqual(kind(sql), word)

    def test_only_statements_with_rows_have_a_format(self) -> None:
        self.assertEqual(result_format("SELECT 1", "TabSeparated"), "TabSeparated")
        self.assertEqual(result_format("SELECT 1 FORMAT JSON", "TabSeparated"), "JSON")
        self.assertEqual(result_format("SELECT 1 format JSON settings max_threads=1;", "TabSeparated"), "JSON")
        self.assertIsNone(result_format("CREATE TABLE t (a Int8) ENGINE = Memory", "TabSeparated"))

    def test_quotes_are_escaped(self) -> None:
        self.assertEqual(quote("it's \\ here"), "'it\\'s \\\\ here'")
        self.assertEqual(quote_name("a`b"), "`a\\`b`")


if __name__ == "__main__":
    unittest.main()
