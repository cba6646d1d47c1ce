/* input flows
1970-01-01 00:00:01,x,9223372036854775807,1970-01-01 00:00:00
1970-01-01 00:00:02,x,1,1970-01-01 00:00:00
1970-01-01 00:00:03,y,9223372036854775807,1970-01-01 00:00:00
1970-01-01 00:01:03,z,1,1970-01-01 00:00:00
1970-01-01 00:01:04,z,2,1970-01-01 00:01:00
1970-01-01 00:01:05,z,2,1970-01-01 00:00:30
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, te TIMESTAMP, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE TABLE distinct_sums (k TEXT, w TIMESTAMP, s BIGINT, d BIGINT) WITH (connector = 'sink', on_error = 'null');
CREATE TABLE sums_above (w TIMESTAMP, s BIGINT, d BIGINT) WITH (connector = 'sink', on_error = 'null');
CREATE TABLE sums_over (k TEXT, w TIMESTAMP, s BIGINT, running BIGINT) WITH (connector = 'sink', on_error = 'null');
CREATE TABLE decimals (w TIMESTAMP, s DECIMAL(38, 0), d DECIMAL(38, 0), m DECIMAL(38, 4)) WITH (connector = 'sink', on_error = 'null');
CREATE TABLE durations (w TIMESTAMP, s TEXT, d TEXT, m TEXT) WITH (connector = 'sink', on_error = 'null');
CREATE VIEW keyed AS SELECT k, tumble(INTERVAL '1 minute') AS w, max(v) AS v FROM flows GROUP BY 1, 2;
INSERT INTO distinct_sums SELECT k, w.start, s, d FROM
(SELECT k, tumble(INTERVAL '1 minute') AS w, sum(v) AS s, sum(DISTINCT v) AS d FROM flows GROUP BY 1, 2);
INSERT INTO sums_above SELECT w.start, s, d FROM (SELECT w, sum(v) AS s, sum(DISTINCT v) AS d FROM keyed GROUP BY w);
INSERT INTO sums_over SELECT k, w.start, sum(v) OVER (PARTITION BY w), sum(v) OVER (PARTITION BY w ORDER BY k) FROM keyed;
INSERT INTO decimals SELECT w.start, sum(d), sum(DISTINCT d), avg(d) FROM
(SELECT w, CAST(v AS DECIMAL(38, 0)) * 10000000000000000000 AS d FROM keyed) GROUP BY w;
INSERT INTO durations SELECT w.start, CAST(s AS TEXT), CAST(d AS TEXT), CAST(m AS TEXT) FROM
(SELECT tumble(INTERVAL '1 minute') AS w, sum(ts - te) AS s, sum(DISTINCT ts - te) AS d, avg(ts - te) AS m FROM flows GROUP BY 1);
/* no oracle: DataFusion's sums wrap */
/* expected decimals
1970-01-01T00:00:00 | ∅ | 92233720368547758070000000000000000000 | ∅
1970-01-01T00:01:00 | 20000000000000000000 | 20000000000000000000 | 20000000000000000000.0000
*/
/* expected distinct_sums
x | 1970-01-01T00:00:00 | ∅ | ∅
y | 1970-01-01T00:00:00 | 9223372036854775807 | 9223372036854775807
z | 1970-01-01T00:01:00 | 5 | 3
*/
/* expected durations
1970-01-01T00:00:00 | 0 days 0 hours 0 mins 6.000000000 secs | 0 days 0 hours 0 mins 6.000000000 secs | 0 days 0 hours 0 mins 2.000000000 secs
1970-01-01T00:01:00 | 0 days 0 hours 1 mins 42.000000000 secs | 0 days 0 hours 1 mins 42.000000000 secs | 0 days 0 hours 0 mins 34.000000000 secs
*/
/* expected sums_above
1970-01-01T00:00:00 | ∅ | 9223372036854775807
1970-01-01T00:01:00 | 2 | 2
*/
/* expected sums_over
x | 1970-01-01T00:00:00 | ∅ | 9223372036854775807
y | 1970-01-01T00:00:00 | ∅ | ∅
z | 1970-01-01T00:01:00 | 2 | 2
*/
