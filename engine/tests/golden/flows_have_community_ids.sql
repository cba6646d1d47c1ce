/* input flows
1970-01-01 00:00:01,128.232.110.120,66.35.250.204,34855,80,TCP
1970-01-01 00:00:02,66.35.250.204,128.232.110.120,80,34855,6
1970-01-01 00:00:03,1.2.3.4,5.6.7.8,0,2048,ICMP
1970-01-01 00:00:04,fe80:1:203:405:607:809:a0b:c0d,fe80:1011:1213:1415:1617:1819:1a1b:1c1d,0,32768,ICMP6
1970-01-01 00:00:05,10.0.0.1,10.0.0.2,0,0,GRE
1970-01-01 00:00:06,no address,10.0.0.2,1,2,TCP
1970-01-01 00:00:07,10.0.0.1,10.0.0.2,1,70000,TCP
1970-01-01 00:00:08,10.0.0.1,10.0.0.2,1,,UDP
*/
CREATE TABLE flows (ts TIMESTAMP, sa TEXT, da TEXT, sp INT, dp INT, pr TEXT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT sa, sp, community_id(sa, da, sp, dp, pr) AS id, community_id(sa, da, sp, dp, pr, 1) AS seeded FROM flows;
/* expected results
1.2.3.4 | 0 | 1:crodRHL2FEsHjbv3UkRrfbs4bZ0= | 1:9pr4ZGTICiuZoIh90RRYE2RyXpU=
10.0.0.1 | 0 | 1:+KlEHDT0vJgzs/eNmzHq0aSpRYw= | 1:BuvF116GIMVorQSVAHuZSothg0Q=
10.0.0.1 | 1 | ∅ | ∅
10.0.0.1 | 1 | ∅ | ∅
128.232.110.120 | 34855 | 1:LQU9qZlK+B5F3KDmev6m5PMibrg= | 1:3V71V58M3Ksw/yuFALMcW0LAHvc=
66.35.250.204 | 80 | 1:LQU9qZlK+B5F3KDmev6m5PMibrg= | 1:3V71V58M3Ksw/yuFALMcW0LAHvc=
fe80:1:203:405:607:809:a0b:c0d | 0 | 1:0bf7hyMJUwt3fMED7z8LIfRpBeo= | 1:IO27GQzPuCtNnwFvjWALMHu5tJE=
no address | 1 | ∅ | ∅
*/
