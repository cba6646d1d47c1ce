/* input flows
1970-01-01 00:00:01,x,1
bad> 1970-01-01 00:00:02,y,0
1970-01-01 00:00:03,z,300
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE TABLE alerts (k TEXT, start TIMESTAMP, n BIGINT)
WITH (connector = 'sink', dead_letter_table = 'dead_letters', on_error = 'dead_letter');
CREATE TABLE dead_letters (reason TEXT, detail TEXT, value TEXT) WITH (connector = 'sink');
INSERT INTO alerts SELECT k, w.start, 600 / total FROM
(SELECT k, tumble(INTERVAL '1 minute') AS w, sum(v) AS total FROM flows GROUP BY k, w);
/* expected alerts
x | 1970-01-01T00:00:00 | 600
z | 1970-01-01T00:00:00 | 2
*/
/* expected dead_letters
division_by_zero | expression `600 / total` (line 11, column 39): Divide by zero error; `sum(v)` is 0 | {"k":"y","tumble(1m)":{"start":"1970-01-01T00:00:00Z","end":"1970-01-01T00:01:00Z"},"sum(v)":"0"}
*/
