"""Users and passwords in the four ways in which a client may give them, and the ids of running queries."""

import base64
import unittest

from clickhouse.access import Users, credentials
from clickhouse.errors import ClickHouseError
from clickhouse.queries import BodyBudget, RunningQueries


def basic(text: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


class Credentials(unittest.TestCase):
    def test_each_way_gives_user_and_password(self) -> None:
        self.assertEqual(credentials({"X-ClickHouse-User": "ann", "X-ClickHouse-Key": "s"}, {}), ("ann", "s"))
        self.assertEqual(credentials({"X-ClickHouse-Key": "s"}, {}), ("default", "s"))
        self.assertEqual(credentials(basic("ann:s:t"), {}), ("ann", "s:t"))
        self.assertEqual(credentials({}, {"user": "ann", "password": "s"}), ("ann", "s"))
        self.assertEqual(credentials({}, {}), ("default", ""))

    def test_two_ways_at_once_and_broken_headers_are_refused(self) -> None:
        both = basic("ann:s") | {"X-ClickHouse-User": "ann"}
        for headers in (both, {"Authorization": "Bearer abc"}, {"Authorization": "Basic ???"}, basic("no separator")):
            with self.subTest(headers), self.assertRaises(ClickHouseError) as caught:
                credentials(headers, {})
            self.assertEqual((caught.exception.code, caught.exception.status), (516, 403))

    def test_a_wrong_password_and_an_unknown_user_get_the_same_answer(self) -> None:
        users = Users({"ann": "secret"})
        users.check("ann", "secret")
        for user, password in (("ann", ""), ("ann", "Secret"), ("bob", "secret"), ("", "")):
            with self.subTest(user=user, password=password), self.assertRaises(ClickHouseError) as caught:
                users.check(user, password)
            self.assertEqual((caught.exception.code, caught.exception.status), (516, 403))
            self.assertNotIn("secret", str(caught.exception))


class QueryIds(unittest.TestCase):
    def test_an_id_is_refused_while_it_runs_and_free_afterwards(self) -> None:
        queries = RunningQueries()
        with queries.run("a"), queries.run("b"):
            self.assertEqual(queries.count(), 2)
            with self.assertRaises(ClickHouseError) as caught, queries.run("a"):
                self.fail("the second query with the same id ran")
            self.assertEqual(caught.exception.code, 216)
            self.assertIn("QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING", str(caught.exception))
            # The refused one has not freed the id of the one that runs.
            with self.assertRaises(ClickHouseError), queries.run("a"):
                self.fail("the refused query freed the id")
        self.assertEqual(queries.count(), 0)

    def test_an_id_is_free_after_a_failure(self) -> None:
        queries = RunningQueries()
        with self.assertRaises(ZeroDivisionError), queries.run("a"):
            raise ZeroDivisionError
        with queries.run("a"):
            pass


class Budget(unittest.TestCase):
    def test_bodies_together_stay_under_the_limit_and_are_given_back(self) -> None:
        budget = BodyBudget(100)
        with budget.account() as first:
            first.take(60)
            with self.assertRaises(ClickHouseError) as caught, budget.account() as second:
                second.take(30)
                second.take(11)
            self.assertEqual((caught.exception.code, caught.exception.status), (241, 503))
            with budget.account() as third:
                third.take(40)
        with budget.account() as all_of_it:
            all_of_it.take(100)


if __name__ == "__main__":
    unittest.main()
