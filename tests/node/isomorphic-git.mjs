// Clones, pushes and fetches with isomorphic-git.
// usage: node isomorphic-git.mjs URL FOLDER [USER PASSWORD]
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import git from 'isomorphic-git'
import http from 'isomorphic-git/http/node'

const [url, folder, username, password] = process.argv.slice(2)
const author = { name: 'A Person', email: 'person@example.com' }
const credentials = username === undefined ? {} : { onAuth: () => ({ username, password }), onAuthFailure: () => ({ cancel: true }) }
const remote = { fs, http, url, remote: 'origin', ...credentials }

async function commit(dir, filepath, text) {
  fs.writeFileSync(path.join(dir, filepath), text)
  await git.add({ fs, dir, filepath })
  return git.commit({ fs, dir, message: `write ${filepath}`, author })
}

const [first, second] = ['first', 'second'].map((name) => path.join(folder, name))
await git.clone({ ...remote, dir: first, ref: 'main' })
await git.clone({ ...remote, dir: second, ref: 'main', singleBranch: true, depth: 1 })
assert.equal((await git.log({ fs, dir: second })).length, 1, 'a shallow clone has one commit')

const pushed = await commit(first, 'isomorphic-git.txt', 'made by isomorphic-git\n')
const told = await git.push({ ...remote, dir: first, ref: 'main' })
assert.ok(told.ok && told.refs['refs/heads/main'].ok, JSON.stringify(told))
await git.branch({ fs, dir: first, ref: 'isomorphic', checkout: true })
await commit(first, 'more.txt', 'more\n')
await git.push({ ...remote, dir: first, ref: 'isomorphic' })

const fetched = await git.fetch({ ...remote, dir: second, ref: 'main', singleBranch: true })
assert.equal(fetched.fetchHead, pushed, 'a fetch brings what was pushed')
await git.merge({ fs, dir: second, theirs: 'origin/main', fastForwardOnly: true, author })
await git.checkout({ fs, dir: second, ref: 'main' })
assert.equal(fs.readFileSync(path.join(second, 'isomorphic-git.txt'), 'utf8'), 'made by isomorphic-git\n')

// What is behind is refused.
await git.branch({ fs, dir: first, ref: 'stale', object: `${pushed}` })
await git.checkout({ fs, dir: first, ref: 'stale' })
await git.commit({ fs, dir: first, message: 'in between', author })
await git.push({ ...remote, dir: first, ref: 'stale', remoteRef: 'main' })
await git.commit({ fs, dir: second, message: 'too late', author })
await assert.rejects(git.push({ ...remote, dir: second, ref: 'main' }), 'a stale push is refused')

for (const protocolVersion of [1, 2]) {
  const refs = await git.listServerRefs({ ...remote, protocolVersion, symrefs: true })
  const names = refs.map((ref) => ref.ref)
  for (const name of ['HEAD', 'refs/heads/main', 'refs/heads/isomorphic', 'refs/tags/v1']) {
    assert.ok(names.includes(name), `${name} in ${names}`)
  }
}
const deleted = await git.push({ ...remote, dir: first, remoteRef: 'isomorphic', delete: true })
assert.ok(deleted.ok, JSON.stringify(deleted))
