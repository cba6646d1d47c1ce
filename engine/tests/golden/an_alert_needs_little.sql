/* input verdicts
1970-01-01 00:15:00,x
1970-01-01 00:16:00,
*/
CREATE TABLE verdicts (te TIMESTAMP, k TEXT, WATERMARK FOR te) WITH (connector = 'test', format = 'csv');
CREATE VIEW alerts AS
SELECT te, CASE WHEN k = 'x' THEN named_struct('id', k, 'rule', 'r', 'time', te, 'technique', 'T1090') END AS alert FROM verdicts;
SELECT te, alert_ecs(alert) AS ecs, alert_ocsf(alert) AS ocsf, alert_falcosidekick(alert) AS falco, alert_cef(alert) AS cef
FROM alerts;
/* expected results
1970-01-01T00:15:00 | {"@timestamp":"1970-01-01T00:15:00.000Z","ecs":{"version":"8.17.0"},"event":{"category":["network","intrusion_detection"],"dataset":"davy.alert","id":"x","kind":"alert","module":"davy","provider":"davy","type":["info"]},"message":"r","observer":{"product":"Davy","type":"ids","vendor":"Davy","version":"0.1.0"},"rule":{"name":"r"},"threat":{"framework":"MITRE ATT&CK","technique":{"id":["T1090"],"name":["T1090"]}}} | {"activity_id":1,"activity_name":"Create","category_name":"Findings","category_uid":2,"class_name":"Detection Finding","class_uid":2004,"finding_info":{"analytic":{"name":"r","type":"Rule","type_id":1,"uid":"r"},"attacks":[{"technique":{"name":"T1090","uid":"T1090"}}],"created_time":900000,"desc":"r","title":"r","uid":"x"},"is_alert":true,"message":"r","metadata":{"product":{"name":"Davy","vendor_name":"Davy","version":"0.1.0"},"uid":"x","version":"1.5.0"},"severity":"Unknown","severity_id":0,"status":"New","status_id":1,"time":900000,"type_name":"Detection Finding: Create","type_uid":200401} | {"output":"r","output_fields":{"id":"x"},"priority":"Notice","rule":"r","source":"davy","tags":["T1090"],"time":"1970-01-01T00:15:00.000000000Z"} | CEF:0|Davy|Davy|0.1.0|r|r|Unknown|externalId=x rt=900000 msg=r cat=T1090
1970-01-01T00:16:00 | ∅ | ∅ | ∅ | ∅
*/
