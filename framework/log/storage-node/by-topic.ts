/** What a node knows by log stream, and by topic: a cut names topics, of which a node may hold hundreds. */
export class ByTopic<T extends { readonly topicId: number }> extends Map<number, T> {
  private readonly topics = new Map<number, Set<T>>();

  override set(logStreamId: number, it: T): this {
    this.delete(logStreamId);
    const { topicId } = it;
    const others = this.topics.get(topicId);
    if (others === undefined) this.topics.set(topicId, new Set([it]));
    else others.add(it);
    return super.set(logStreamId, it);
  }

  override delete(logStreamId: number): boolean {
    const it = this.get(logStreamId);
    if (it === undefined) return false;
    const { topicId } = it;
    const others = this.topics.get(topicId);
    others?.delete(it);
    if (others?.size === 0) this.topics.delete(topicId);
    return super.delete(logStreamId);
  }

  /** Whether there is any of a topic. */
  hasTopic(topicId: number): boolean {
    return this.topics.has(topicId);
  }

  /** All of a topic, in no order. */
  ofTopic(topicId: number): Iterable<T> {
    return this.topics.get(topicId) ?? [];
  }
}
