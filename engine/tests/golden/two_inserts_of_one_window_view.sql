/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,2
1970-01-01 00:01:02,y,4
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE TABLE small (k TEXT, v BIGINT) WITH (connector = 'sink');
CREATE TABLE large (k TEXT, v BIGINT) WITH (connector = 'sink');
CREATE VIEW per_key AS SELECT k, tumble(INTERVAL '1 minute') AS window, sum(v) AS v FROM flows GROUP BY 1, 2;
INSERT INTO small SELECT k, v FROM per_key WHERE v < 2;
INSERT INTO large SELECT k, v FROM per_key WHERE v >= 2;
/* expected large
y | 2
y | 4
*/
/* expected small
x | 1
*/
