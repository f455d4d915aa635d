import { expect, test } from 'vitest'
import { areReady, filesIn, MOST_BYTES, objection, type Picked } from './picked'

const file = (type: string, size = 10) => ({ type, size })

test('a file that the server would refuse is refused before it is sent', () => {
  expect(objection(file('image/png'))).toBe('')
  expect(objection(file('image/svg+xml'))).toBe('type')
  expect(objection(file('application/pdf'))).toBe('type')
  expect(objection(file('image/png', 0))).toBe('empty')
  expect(objection(file('image/jpeg', MOST_BYTES))).toBe('')
  expect(objection(file('image/jpeg', MOST_BYTES + 1))).toBe('size')
})

test('a cell that a spreadsheet copies as text and picture is pasted as text', () => {
  const data = (text: string) => ({ getData: () => text, files: ['a picture'] }) as unknown as DataTransfer
  expect(filesIn(data('A1'))).toEqual([])
  expect(filesIn(data(''))).toEqual(['a picture'])
  expect(filesIn(null)).toEqual([])
})

test('pictures are ready when each has arrived', () => {
  const picture = (url: string) => ({ url }) as Picked
  expect(areReady([])).toBe(true)
  expect(areReady([picture('/a'), picture('')])).toBe(false)
  expect(areReady([picture('/a'), picture('/b')])).toBe(true)
})
