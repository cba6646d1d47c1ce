/* input flows
a> 1970-01-01 00:00:01,x
b> 1970-01-01 00:00:02,"y z"
a> 1970-01-01 00:00:03,x
*/
/* no oracle: it does not know splits */
CREATE TABLE flows (ts TIMESTAMP, k TEXT, part TEXT METADATA FROM 'split', line BYTEA METADATA FROM 'value', WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT part, k, arrow_cast(line, 'Utf8') AS line FROM flows;
SELECT part, tumble(INTERVAL '1 minute') AS w, count(*) AS n FROM flows GROUP BY 1, 2;
/* expected results
a | x | 1970-01-01 00:00:01,x
a | x | 1970-01-01 00:00:03,x
b | y z | 1970-01-01 00:00:02,"y z"
*/
/* expected results_2
a | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 2
b | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1
*/
