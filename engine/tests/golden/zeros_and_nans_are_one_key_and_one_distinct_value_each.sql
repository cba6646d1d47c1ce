/* no oracle: batch DataFusion distinguishes zeros and NaNs by their bits */
/* input t
1970-01-01 00:00:01,0.0,1
1970-01-01 00:00:02,-0.0,2
1970-01-01 00:00:03,NaN,4
1970-01-01 00:00:04,-NaN,8
1970-01-01 00:01:01,nan,16
1970-01-01 00:01:02,-0,32
*/
CREATE TABLE t (ts TIMESTAMP, x DOUBLE, v BIGINT, WATERMARK FOR ts) WITH (connector = 'test', format = 'csv');
CREATE VIEW g AS SELECT hop(INTERVAL '1 minute', INTERVAL '2 minutes') AS w, x * 1.0 AS x, sum(v) AS s, count(*) AS n FROM t GROUP BY 1, 2;
CREATE VIEW h AS SELECT hop(INTERVAL '1 minute', INTERVAL '2 minutes') AS w, 0.0 * -1 * v AS y, count(*) AS m, count(DISTINCT x) AS dx
FROM t GROUP BY 1, 2;
SELECT g.w, g.x, g.s, g.n, h.m, h.dx FROM g LEFT JOIN h ON g.w = h.w AND g.x = h.y;
SELECT session(INTERVAL '1 hour') AS w, x, count(*) AS n FROM t GROUP BY 1, 2;
/* expected results
{start: 1969-12-31T23:59:00, end: 1970-01-01T00:01:00} | 0.0 | 3 | 2 | 4 | 2
{start: 1969-12-31T23:59:00, end: 1970-01-01T00:01:00} | NaN | 12 | 2 | ∅ | ∅
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:02:00} | 0.0 | 35 | 3 | 6 | 2
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:02:00} | NaN | 28 | 3 | ∅ | ∅
{start: 1970-01-01T00:01:00, end: 1970-01-01T00:03:00} | 0.0 | 32 | 1 | 2 | 2
{start: 1970-01-01T00:01:00, end: 1970-01-01T00:03:00} | NaN | 16 | 1 | ∅ | ∅
*/
/* expected results_2
{start: 1970-01-01T00:00:01, end: 1970-01-01T01:01:02, is_cut: false} | 0.0 | 3
{start: 1970-01-01T00:00:03, end: 1970-01-01T01:01:01, is_cut: false} | NaN | 3
*/
