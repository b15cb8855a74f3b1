"""The pure parts, without the data and without a library: python3 -m unittest discover loadgen/completejourney"""

import json
import unittest

import fit
import orders

ROW = {
    "household_id": 900,
    "store_id": 330,
    "basket_id": 31198570044,
    "product_id": 1095275,
    "quantity": 1,
    "sales_value": 0.5,
    "second": 1483271606,
}


class Orders(unittest.TestCase):
    def test_cents_of_every_price_up_to_1000_are_exact(self):
        for cents in range(100_001):
            self.assertEqual(orders.cents_of(cents / 100), (cents, True))

    def test_residues_of_float_sums_are_rounded_and_said_to_be(self):
        self.assertEqual(orders.cents_of(1.776357e-15), (0, False))
        self.assertEqual(orders.cents_of(0.1 + 0.2), (30, False))

    def test_what_is_no_amount_of_money_is_an_error(self):
        for value in (0.005, 3.499, float("nan")):
            self.assertRaises(ValueError, orders.cents_of, value)

    def test_the_same_household_and_store_always_get_the_same_channel_and_state(self):
        self.assertEqual(orders.source_of(900), "Dine In")
        self.assertEqual(orders.state_of(330), "TX")

    def test_a_line_begins_with_its_id_and_has_every_field(self):
        order_id, line = orders.order_line(ROW, 1, "TRAVEL & LEISURE")
        self.assertTrue(line.startswith('{"order_id":"cj-31198570044-1095275-1",'))
        self.assertIn('"total":0.50,', line)
        expected = {
            "order_id": order_id, "customer_id": 900, "source": "Dine In", "quantity": 1, "total": 0.5,
            "store_id": 330, "product_id": 1095275, "category": "TRAVEL & LEISURE", "state": "TX",
            "created_at": "2017-01-01T11:53:26Z",
        }  # fmt: skip
        self.assertEqual(json.loads(line), expected)

    def test_a_product_without_department_leaves_the_category_out(self):
        self.assertNotIn("category", json.loads(orders.order_line(ROW, 1, None)[1]))


class Fit(unittest.TestCase):
    def test_quantiles_are_values_of_the_list(self):
        self.assertEqual(fit.quantiles([30, 10, 20, 40], (0, 250, 500, 999)), [10, 20, 30, 40])

    def test_unit_prices_are_rounded_half_up(self):
        self.assertEqual([fit.unit_price_of(cents, 2) for cents in (5, 4, 3)], [3, 2, 2])


if __name__ == "__main__":
    unittest.main()
