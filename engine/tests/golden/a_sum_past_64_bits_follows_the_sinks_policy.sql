/* input flows
1970-01-01 00:00:01,x,9223372036854775807
1970-01-01 00:00:02,x,1
1970-01-01 00:00:03,y,9223372036854775807
@commit
1970-01-01 00:00:04,y,9223372036854775807
1970-01-01 00:00:05,y,-9223372036854775807
1970-01-01 00:00:06,z,
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE TABLE sums (k TEXT, s BIGINT, n BIGINT) WITH (connector = 'sink', on_error = 'null');
INSERT INTO sums SELECT k, s, n FROM
(SELECT k, tumble(INTERVAL '1 minute') AS w, sum(v) AS s, count(*) AS n FROM flows GROUP BY 1, 2);
/* no oracle: DataFusion's sum wraps */
/* expected sums
x | ∅ | 2
y | 9223372036854775807 | 3
z | ∅ | 1
*/
