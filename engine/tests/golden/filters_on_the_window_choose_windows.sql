/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:01:01,x,2
1970-01-01 00:02:01,x,4
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT window.start AS s, total FROM (SELECT tumble(INTERVAL '1 minute') AS window, sum(v) AS total FROM flows GROUP BY 1)
WHERE window."end" > TIMESTAMP '1970-01-01 00:01:00' AND window.start < TIMESTAMP '1970-01-01 00:02:00';
/* expected results
1970-01-01T00:01:00 | 2
*/
