/* input flows
{"ts":"1970-01-01 00:00:01","k":"x","v":1}
{"ts":"1970-01-01 00:00:02","k":"x","v":2,"port":443,"flags":["S"]}
{"ts":"1970-01-01 00:00:03","v":3}
@commit
{"v":"4","k":"x","ts":"1970-01-01 00:00:04"}
bad> {"ts":"1970-01-01 00:00:05","k":"x","v":"five"}
bad> {"ts":"1970-01-01 00:00:06","k":"x","v":6.5}
bad> {"ts":{"seconds":7},"k":"x","v":7}
bad> {"time":"1970-01-01 00:00:08","k":"x","v":8}
{"ts":"1970-01-01 00:00:09","k":"x","v":9}
*/
CREATE TABLE bad (reason TEXT, value TEXT) WITH (connector = 'sink', format = 'json');
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'json', dead_letter_table = 'bad');
SELECT tumble(INTERVAL '1 minute') AS w, k, count(*) AS n, sum(v) AS s FROM flows GROUP BY 1, 2;
/* expected bad
missing | {"time":"1970-01-01 00:00:08","k":"x","v":8}
wrong_type | {"ts":"1970-01-01 00:00:05","k":"x","v":"five"}
wrong_type | {"ts":"1970-01-01 00:00:06","k":"x","v":6.5}
wrong_type | {"ts":{"seconds":7},"k":"x","v":7}
*/
/* expected counts
bad records, wrong_type: 3
bad records, missing: 1
*/
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | x | 4 | 16
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | ∅ | 1 | 3
*/
