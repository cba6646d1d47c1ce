CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SET parallelism = '4';
SELECT k FROM flows;
/* expected error
unknown setting `parallelism`; valid are `anonymize_key`, `exchange_partitions`, `max_session`, `memory`, `pipeline`, and `<table>.<option>` for the options of a table or a function
*/
