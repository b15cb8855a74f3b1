// The request of all peers, for k6: an arrival rate with as many users as VUS says, all started beforehand.
import http from 'k6/http';

const body = open(__ENV.ORDER);
export const options = {
  discardResponseBodies: true,
  summaryTrendStats: ['avg', 'med', 'p(90)', 'p(95)', 'p(99)', 'p(99.9)', 'max', 'count'],
  scenarios: {
    orders: {
      executor: 'constant-arrival-rate',
      rate: Number(__ENV.RATE),
      timeUnit: '1s',
      duration: `${__ENV.SECONDS}s`,
      preAllocatedVUs: Number(__ENV.VUS),
      maxVUs: Number(__ENV.VUS),
    },
  },
};

export default function () {
  http.post(__ENV.URL, body, { headers: { 'Content-Type': 'application/json' } });
}
