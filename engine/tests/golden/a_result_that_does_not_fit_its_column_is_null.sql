/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:03,z,300
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE TABLE alerts (k TEXT, n TINYINT) WITH (connector = 'sink', on_error = 'null');
INSERT INTO alerts SELECT k, n FROM (SELECT k, tumble(INTERVAL '1 minute') AS w, sum(v) AS n FROM flows GROUP BY k, w);
/* no oracle: batch DataFusion has no null for what fails */
/* expected alerts
x | 1
z | ∅
*/
