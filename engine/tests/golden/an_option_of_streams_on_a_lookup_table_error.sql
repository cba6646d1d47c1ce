/* list list.csv
a,x
*/
CREATE TABLE flows (ts TIMESTAMP, sa TEXT, da TEXT, dp INT, n BIGINT, WATERMARK FOR ts AS ts)
    WITH (connector = 'test', format = 'csv');
CREATE TABLE hosts (name TEXT, role TEXT NOT NULL) WITH (connector = 'lookup', path = 'list.csv', format = 'csv', key = 'name', idle_timeout = '1 minute');
SELECT n, role FROM flows LEFT JOIN hosts ON name = sa;
/* expected error
line 6, column 129: table `hosts`: unknown option `idle_timeout`; valid here are `connector`, `csv.columns`, `csv.delimiter`, `csv.extra_columns`, `csv.header`, `csv.max_record_bytes`, `csv.null`, `csv.rows_per_message`, `format`, `key`, `limit`, `match`, `path`
*/
