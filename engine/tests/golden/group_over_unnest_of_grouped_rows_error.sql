CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW s AS SELECT k, tumble(INTERVAL '1 minute') AS w, array_agg(v) AS vs FROM flows GROUP BY 1, 2;
CREATE VIEW u AS SELECT k, w, unnest(vs) AS v FROM s;
SELECT k, w, sum(v) AS total FROM u GROUP BY k, w;
/* expected error
line 5, column 37: GROUP BY over unnest() of rows that were grouped is not supported; use functions of lists, such as array_sort, array_length or array_distinct, in place of unnest()
*/
