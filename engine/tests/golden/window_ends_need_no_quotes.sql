/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,9
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE TABLE alerts (k TEXT, s TIMESTAMP, e TIMESTAMP, confidence DOUBLE) WITH (connector = 'sink');
INSERT INTO alerts
SELECT k, window.start, window.end, confidence
FROM (SELECT k, hop(INTERVAL '1 minute', INTERVAL '2 minutes') AS window, sum(v) / 10.0 AS confidence FROM flows GROUP BY 1, 2)
WHERE confidence > 0.7;
/* expected alerts
y | 1969-12-31T23:59:00 | 1970-01-01T00:01:00 | 0.9
y | 1970-01-01T00:00:00 | 1970-01-01T00:02:00 | 0.9
*/
