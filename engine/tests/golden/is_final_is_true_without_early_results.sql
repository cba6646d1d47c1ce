/* input flows
1970-01-01 00:00:01,a,1
1970-01-01 00:00:03,b,2
1970-01-01 00:00:12,a,4
1970-01-01 00:00:31,c,64
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2 seconds')
WITH (connector = 'test', format = 'csv');
CREATE VIEW sums AS SELECT k, tumble(INTERVAL '10 seconds') AS w, sum(v) AS total FROM flows GROUP BY k, w;
SELECT sums.w.start, k, total, sums.w.is_final, sums.w['is_final'] AS again, CASE WHEN w.is_final THEN 'final' ELSE 'early' END AS status FROM sums;
-- Null for a window that an outer join has not found.
SELECT a.k, a.w.is_final AS one, b.w.is_final AS other FROM sums AS a LEFT JOIN sums AS b ON a.w = b.w AND a.k = b.k AND b.total < 4;
-- It is no part of the window.
SELECT w FROM sums WHERE w.is_final;
/* expected results
1970-01-01T00:00:00 | a | 1 | true | true | final
1970-01-01T00:00:00 | b | 2 | true | true | final
1970-01-01T00:00:10 | a | 4 | true | true | final
1970-01-01T00:00:30 | c | 64 | true | true | final
*/
/* expected results_2
a | true | true
a | true | ∅
b | true | true
c | true | ∅
*/
/* expected results_3
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:10}
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:10}
{start: 1970-01-01T00:00:10, end: 1970-01-01T00:00:20}
{start: 1970-01-01T00:00:30, end: 1970-01-01T00:00:40}
*/
