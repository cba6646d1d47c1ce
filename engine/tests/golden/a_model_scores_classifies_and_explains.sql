/* input flows
1970-01-01 00:00:01,leaf on the edge,100,10
1970-01-01 00:00:02,right of it,100.5,2.5
1970-01-01 00:00:03,miner,1500,60
1970-01-01 00:00:04,no bytes,,60
1970-01-01 00:00:05,not finite,inf,60
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, bytes_pp DOUBLE, gap_s DOUBLE, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE FUNCTION mining_score USING MODEL 'tiny/card.toml';
SELECT k, mining_score(bytes_pp, gap_s) AS score, mining_score_class(bytes_pp, gap_s) AS class,
  mining_score_explain(bytes_pp, gap_s) AS why,
  mining_score_model()['name'] AS model, mining_score_model()['sha256'] AS sha256 FROM flows;
/* expected results
leaf on the edge | 0.125 | benign | {"base":0.5,"model":"tiny","others":0.0,"reasons":[{"contribution":-0.25,"feature":"gap_s","unit":"s","value":10.0},{"contribution":-0.125,"feature":"bytes_pp","unit":"B","value":100.0}],"score":0.125,"sum":0.125,"version":"1.0.0"} | tiny | 4c4490578ba13e31acf1071b7f9e61809b55b53f9d690599f4fd87b9bf7dca8b
miner | 1.0 | miner | {"base":0.5,"model":"tiny","others":0.0,"reasons":[{"contribution":0.375,"feature":"gap_s","unit":"s","value":60.0},{"contribution":0.125,"feature":"bytes_pp","unit":"B","value":1500.0}],"score":1.0,"sum":1.0,"version":"1.0.0"} | tiny | 4c4490578ba13e31acf1071b7f9e61809b55b53f9d690599f4fd87b9bf7dca8b
no bytes | ∅ | ∅ | ∅ | tiny | 4c4490578ba13e31acf1071b7f9e61809b55b53f9d690599f4fd87b9bf7dca8b
not finite | ∅ | ∅ | ∅ | tiny | 4c4490578ba13e31acf1071b7f9e61809b55b53f9d690599f4fd87b9bf7dca8b
right of it | 0.25 | benign | {"base":0.5,"model":"tiny","others":0.0,"reasons":[{"contribution":-0.375,"feature":"gap_s","unit":"s","value":2.5},{"contribution":0.125,"feature":"bytes_pp","unit":"B","value":100.5}],"score":0.25,"sum":0.25,"version":"1.0.0"} | tiny | 4c4490578ba13e31acf1071b7f9e61809b55b53f9d690599f4fd87b9bf7dca8b
*/
