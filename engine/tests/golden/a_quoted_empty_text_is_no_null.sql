/* input flows
1970-01-01 00:00:01,"",1
1970-01-01 00:00:02,,2
1970-01-01 00:00:03,"a ""b"" c",3
*/
/* no oracle: arrow's reader takes both for nulls */
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT ts, k, k IS NULL AS none FROM flows;
/* expected results
1970-01-01T00:00:01 |  | false
1970-01-01T00:00:02 | ∅ | true
1970-01-01T00:00:03 | a "b" c | false
*/
