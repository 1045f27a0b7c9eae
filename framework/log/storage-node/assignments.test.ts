import { Assignment, SessionResponse } from '../../wire/gen/log.ts';
import { Assignments } from './assignments.ts';

test('what is known of a topic goes with its last log stream here', () => {
  const assignments = new Assignments();
  const receive = (logStreamId: number, removed = false): void => {
    const assignment = Assignment.create({ topicId: 7, logStreamId, removed });
    assignments.receive(SessionResponse.create({ assignments: [assignment] }));
  };
  receive(1);
  receive(2);
  const topic = assignments.topic(7);
  assignments.moveWatermark(7, 5);
  receive(1, true);
  expect(assignments.topic(7)).toBe(topic);
  receive(2, true);
  assignments.moveWatermark(7, 9);
  expect(topic.value).toBe(5);
  receive(1);
  expect(assignments.topic(7)).not.toBe(topic);
});
