CREATE TABLE verdicts (te TIMESTAMP, k TEXT, WATERMARK FOR te) WITH (connector = 'test', format = 'csv');
SELECT alert_ecs(named_struct('id', k, 'rule', 'r', 'time', te, 'sorce', k)) AS alert FROM verdicts;
/* expected error
line 2, column 8: `alert_ecs`: an alert has no field `sorce`; its fields are `bytes`, `community_id`, `confidence`, `dst_ip`, `dst_port`, `explanation`, `features`, `flags`, `hostname`, `id`, `level`, `message`, `model`, `model_sha256`, `model_version`, `outlier_score`, `packets`, `protocol`, `rule`, `rule_score`, `sources`, `src_ip`, `src_port`, `tags`, `technique`, `tenant`, `time`, `tos`, `url`, `window_end`, `window_start`
*/
