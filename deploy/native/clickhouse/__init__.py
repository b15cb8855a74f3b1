"""ClickHouse's HTTP interface in front of chDB, which is ClickHouse's engine as a library.

For development and tests, where no ClickHouse server is installed. One process owns one data folder, as a server does.

errors -> framing -> statement -> access -> queries (all pure) -> engine (the only file that knows chDB) -> receive -> http -> __main__
"""
