/* input flows
1970-01-01 00:00:01,a,50,1
1970-01-01 00:00:21,a,150,1
1970-01-01 00:00:02,b,2000,1
1970-01-01 00:00:52,b,1000,1
1970-01-01 00:01:10,c,1,1
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, bytes_pp DOUBLE, gap_s DOUBLE, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE FUNCTION mining_score USING MODEL 'tiny/card.toml' NAMED;
CREATE VIEW series AS SELECT k, tumble(INTERVAL '1 minute') AS window, avg(bytes_pp) AS bytes_pp,
  (date_part('epoch', max(ts)) - date_part('epoch', min(ts))) / greatest(count(*) - 1, 1) AS gap_s
FROM flows GROUP BY k, window;
SELECT k, window.start, mining_score(bytes_pp, gap_s) AS score FROM series WHERE mining_score(bytes_pp, gap_s) > 0.1;
/* expected results
a | 1970-01-01T00:00:00 | 0.625
b | 1970-01-01T00:00:00 | 1.0
c | 1970-01-01T00:01:00 | 0.125
*/
