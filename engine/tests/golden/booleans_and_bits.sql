/* input flows
1970-01-01 00:00:05,b,6
1970-01-01 00:00:06,b,3
1970-01-01 00:00:07,c,
1970-01-01 00:01:08,c,8
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS w, bool_and(v > 3) AS a, bool_or(v > 3) AS o, bit_and(v) AS ba, bit_or(v) AS bo, bit_xor(v) AS bx FROM flows GROUP BY 1;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | false | true | 2 | 7 | 5
{start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | true | true | 8 | 8 | 8
*/
