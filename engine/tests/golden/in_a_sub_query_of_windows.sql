/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,9
1970-01-01 00:01:03,z,5
1970-01-01 00:01:04,z,5
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW per_key AS SELECT k, tumble(INTERVAL '1 minute') AS window, count(*) AS n FROM flows GROUP BY 1, 2;
SELECT k, window FROM per_key WHERE window IN (SELECT window FROM per_key WHERE n > 1);
/* expected results
z | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00}
*/
