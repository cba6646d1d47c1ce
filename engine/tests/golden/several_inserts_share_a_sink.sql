/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,9
1970-01-01 00:01:03,z,5
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE TABLE out (k TEXT, n BIGINT) WITH (connector = 'sink');
CREATE TABLE rest (k TEXT) WITH (connector = 'sink');
INSERT INTO out SELECT k, count(*) FROM flows GROUP BY k, tumble(INTERVAL '1 minute');
INSERT INTO out SELECT 'all', count(*) FROM flows GROUP BY tumble(INTERVAL '1 minute');
INSERT INTO rest SELECT k FROM flows WHERE v > 4;
/* expected out
all | 1
all | 2
x | 1
y | 1
z | 1
*/
/* expected rest
y
z
*/
