-- The database, and what is known of the schema in it. Run at every `pipeline schema apply`.
CREATE DATABASE IF NOT EXISTS {database};

-- The files of this folder that were applied, with a checksum of each.
CREATE TABLE IF NOT EXISTS {database}.schema_files (
    version UInt32, name String, checksum String, applied_at DateTime('UTC')
) ENGINE = MergeTree ORDER BY version;

-- What must not change under the data: the Kafka partitions.
CREATE TABLE IF NOT EXISTS {database}.schema_values (
    name String, value String
) ENGINE = MergeTree ORDER BY name;
